# AWS has no topic for Linux ECS images any more (the last one went in 2021), and its public parameters send no events. So
# `ecsroll check-ami --publish` looks on a schedule and tells the topic. The queue is for `ecsroll watch`.

data "aws_region" "current" {}

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

locals {
  tags      = merge(var.tags, { Environment = var.environment })
  region    = data.aws_region.current.region
  account   = data.aws_caller_identity.current.account_id
  partition = data.aws_partition.current.partition

  # It lives in one region of its partition; the queue may be anywhere in that partition.
  windows_topic = local.partition == "aws-us-gov" ? "arn:aws-us-gov:sns:us-gov-west-1:077303321853:ec2-windows-ami-update" : "arn:aws:sns:us-east-1:801119661308:ec2-windows-ami-update"
}

resource "aws_sns_topic" "this" {
  # checkov:skip=CKV_AWS_26:a notice names public images and clusters, no secret; kms_key_arn takes a key of one's own
  name              = var.name
  kms_master_key_id = var.kms_key_arn
  tags              = local.tags
}

resource "aws_sns_topic_policy" "this" {
  arn = aws_sns_topic.this.arn

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "TheCheck"
      Effect    = "Allow"
      Action    = "sns:Publish"
      Resource  = aws_sns_topic.this.arn
      Principal = { AWS = module.check.role_arn }
    }]
  })
}

resource "aws_sns_topic_subscription" "this" {
  for_each = var.subscriptions

  topic_arn = aws_sns_topic.this.arn
  protocol  = each.value.protocol
  endpoint  = each.value.endpoint
}

resource "aws_sqs_queue" "this" {
  name                      = var.name
  receive_wait_time_seconds = 20
  message_retention_seconds = 4 * 24 * 3600
  sqs_managed_sse_enabled   = var.kms_key_arn == null ? true : null
  kms_master_key_id         = var.kms_key_arn
  tags                      = local.tags
}

resource "aws_sqs_queue_policy" "this" {
  queue_url = aws_sqs_queue.this.url

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "Notices"
      Effect    = "Allow"
      Action    = "sqs:SendMessage"
      Resource  = aws_sqs_queue.this.arn
      Principal = { Service = "sns.amazonaws.com" }
      Condition = { ArnEquals = { "aws:SourceArn" = concat([aws_sns_topic.this.arn], var.windows ? [local.windows_topic] : []) } }
    }]
  })
}

resource "aws_sns_topic_subscription" "queue" {
  topic_arn = aws_sns_topic.this.arn
  protocol  = "sqs"
  endpoint  = aws_sqs_queue.this.arn

  depends_on = [aws_sqs_queue_policy.this]
}

resource "aws_sns_topic_subscription" "windows" {
  count = var.windows ? 1 : 0

  # A subscription lives where its topic does.
  region    = split(":", local.windows_topic)[3]
  topic_arn = local.windows_topic
  protocol  = "sqs"
  endpoint  = aws_sqs_queue.this.arn

  depends_on = [aws_sqs_queue_policy.this]

  lifecycle {
    precondition {
      condition     = local.partition != "aws-cn"
      error_message = "windows: AWS's topic of Windows images is not in China's partition, and its queues cannot hear those of another."
    }
  }
}

module "check" {
  source = "../scheduled_run"

  name             = "${var.name}-check"
  environment      = var.environment
  tags             = var.tags
  schedule         = var.schedule
  fargate          = var.fargate
  codebuild        = var.codebuild
  alarm_topic_arns = var.alarm_topic_arns
  log              = var.log
  policy           = local.policy
  command          = local.command
}

locals {
  command = concat(
    ["check-ami"],
    length(var.clusters) == 0 ? ["--all-clusters"] : flatten([for name in var.clusters : ["--cluster", name]]),
    ["--publish", local.topic_arn, "--json"],
  )

  ecs       = "arn:${local.partition}:ecs:${local.region}:${local.account}"
  parameter = "arn:${local.partition}:ssm:${local.region}:${local.account}:parameter"
  clusters  = length(var.clusters) == 0 ? ["*"] : var.clusters

  # Known before the topic is there, so that a plan shows the whole policy.
  topic_arn = "arn:${local.partition}:sns:${local.region}:${local.account}:${var.name}"

  # Reading only: what runs, what each group would launch, what is newest.
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [
        {
          Sid      = "SeeClusters"
          Effect   = "Allow"
          Action   = ["ecs:DescribeClusters", "ecs:ListContainerInstances"]
          Resource = [for name in local.clusters : "${local.ecs}:cluster/${name}"]
        },
        {
          Sid      = "SeeHosts"
          Effect   = "Allow"
          Action   = ["ecs:DescribeContainerInstances"]
          Resource = [for name in local.clusters : "${local.ecs}:container-instance/${name}/*"]
        },
        {
          Sid      = "SeeServices"
          Effect   = "Allow"
          Action   = ["ecs:DescribeServices"]
          Resource = [for name in local.clusters : "${local.ecs}:service/${name}/*"]
        },
        {
          Sid       = "ListServices"
          Effect    = "Allow"
          Action    = ["ecs:ListServices"]
          Resource  = ["*"]
          Condition = { ArnLike = { "ecs:cluster" = [for name in local.clusters : "${local.ecs}:cluster/${name}"] } }
        },
        {
          Sid      = "SeeCapacityProviders"
          Effect   = "Allow"
          Action   = ["ecs:DescribeCapacityProviders"]
          Resource = ["${local.ecs}:capacity-provider/*"]
        },
        {
          # These know no narrower resource.
          Sid    = "SeeGroupsAndInstances"
          Effect = "Allow"
          Action = concat([
            "autoscaling:DescribeAutoScalingGroups",
            "autoscaling:DescribeLaunchConfigurations",
            "autoscaling:DescribeLifecycleHooks",
            "ec2:DescribeImages",
            "ec2:DescribeInstances",
            "ec2:DescribeLaunchTemplateVersions",
          ], length(var.clusters) == 0 ? ["ecs:ListClusters"] : [])
          Resource  = ["*"]
          Condition = { StringEquals = { "aws:RequestedRegion" = local.region } }
        },
        {
          Sid      = "SeeReleasesOfImages"
          Effect   = "Allow"
          Action   = ["ssm:GetParameter", "ssm:GetParameters"]
          Resource = ["arn:${local.partition}:ssm:${local.region}:*:parameter/aws/service/*"]
        },
        {
          # Those of the module ecs_instances, and others.
          Sid      = "SeeWhatGroupsLaunch"
          Effect   = "Allow"
          Action   = ["ssm:GetParameter", "ssm:ListTagsForResource"]
          Resource = concat([for name in local.clusters : "${local.parameter}/ecs-image/${name}/*"], var.image_parameter_arns)
        },
        {
          # Whether a roll is under way. Checked on the path alone.
          Sid      = "SeeRolls"
          Effect   = "Allow"
          Action   = ["ssm:GetParametersByPath"]
          Resource = [for name in local.clusters : "${local.parameter}/ecsroll/${name}"]
        },
        {
          Sid      = "Tell"
          Effect   = "Allow"
          Action   = ["sns:Publish"]
          Resource = [local.topic_arn]
        },
      ],
      var.kms_key_arn == null ? [] : [{
        Sid      = "UseTheTopicsKey"
        Effect   = "Allow"
        Action   = ["kms:Decrypt", "kms:GenerateDataKey"]
        Resource = [var.kms_key_arn]
      }],
    )
  })
}
