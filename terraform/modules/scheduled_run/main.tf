# The schedule, its role, the log. What it starts: fargate.tf or codebuild.tf. What it tells: alarms.tf.

data "aws_region" "current" {}

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

locals {
  tags      = merge(var.tags, { Environment = var.environment })
  region    = data.aws_region.current.region
  account   = data.aws_caller_identity.current.account_id
  partition = data.aws_partition.current.partition
}

resource "aws_cloudwatch_log_group" "this" {
  name              = "/ecsroll/${var.name}"
  retention_in_days = var.log.retention_days
  # checkov:skip=CKV_AWS_158:CloudWatch Logs encrypts by itself; a key of one's own is given as log.kms_key_arn
  # checkov:skip=CKV_AWS_338:365 days by default; who chooses fewer has read the variable
  kms_key_id = var.log.kms_key_arn
  tags       = local.tags
}

# Who ecsroll is while it runs.
resource "aws_iam_role" "this" {
  name_prefix = substr("${var.name}-", 0, 38)
  description = "What ${var.name} may do"

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = var.fargate != null ? "ecs-tasks.amazonaws.com" : "codebuild.amazonaws.com" }
      Condition = {
        StringEquals = { "aws:SourceAccount" = local.account }
        ArnLike = {
          "aws:SourceArn" = var.fargate != null ? "arn:${local.partition}:ecs:${local.region}:${local.account}:*" : "arn:${local.partition}:codebuild:${local.region}:${local.account}:project/${var.name}"
        }
      }
    }]
  })

  tags = local.tags
}

resource "aws_iam_role_policy" "this" {
  name   = "ecsroll"
  role   = aws_iam_role.this.id
  policy = var.policy
}

# A group of its own, because CloudWatch counts a schedule's failures by group.
resource "aws_scheduler_schedule_group" "this" {
  name = var.name
  tags = local.tags
}

resource "aws_scheduler_schedule" "this" {
  # checkov:skip=CKV_AWS_297:the schedule holds a command, no secret
  name                         = var.name
  group_name                   = aws_scheduler_schedule_group.this.name
  description                  = "ecsroll ${join(" ", var.command)}"
  schedule_expression          = var.schedule.expression
  schedule_expression_timezone = var.schedule.timezone
  state                        = var.schedule.enabled ? "ENABLED" : "DISABLED"

  flexible_time_window {
    mode = "OFF"
  }

  target {
    # Scheduler starts Fargate tasks by itself; builds it starts through the API.
    arn      = var.fargate != null ? var.fargate.cluster_arn : "arn:${local.partition}:scheduler:::aws-sdk:codebuild:startBuild"
    role_arn = aws_iam_role.schedule.arn
    input    = var.fargate != null ? null : jsonencode({ ProjectName = aws_codebuild_project.this[0].name })

    retry_policy {
      maximum_retry_attempts       = 3
      maximum_event_age_in_seconds = 3600
    }

    dynamic "ecs_parameters" {
      for_each = var.fargate == null ? [] : [var.fargate]

      content {
        launch_type         = "FARGATE"
        task_definition_arn = aws_ecs_task_definition.this[0].arn
        task_count          = 1

        network_configuration {
          subnets          = ecs_parameters.value.subnet_ids
          security_groups  = [aws_security_group.this[0].id]
          assign_public_ip = ecs_parameters.value.assign_public_ip
        }
      }
    }
  }
}

resource "aws_iam_role" "schedule" {
  name_prefix = substr("${var.name}-start-", 0, 38)
  description = "Starts ${var.name} on its schedule"

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "scheduler.amazonaws.com" }
      Condition = { StringEquals = {
        "aws:SourceAccount" = local.account
        "aws:SourceArn"     = aws_scheduler_schedule_group.this.arn
      } }
    }]
  })

  tags = local.tags
}

resource "aws_iam_role_policy" "schedule" {
  name = "start"
  role = aws_iam_role.schedule.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = var.fargate == null ? [
      {
        Sid       = "Start"
        Effect    = "Allow"
        Action    = ["codebuild:StartBuild"]
        Resource  = [aws_codebuild_project.this[0].arn]
        Condition = {}
      },
      ] : [
      {
        Sid       = "Start"
        Effect    = "Allow"
        Action    = ["ecs:RunTask"]
        Resource  = ["${aws_ecs_task_definition.this[0].arn_without_revision}:*"]
        Condition = { ArnEquals = { "ecs:cluster" = var.fargate.cluster_arn } }
      },
      {
        Sid       = "GiveTheTaskItsRoles"
        Effect    = "Allow"
        Action    = ["iam:PassRole"]
        Resource  = [aws_iam_role.this.arn, aws_iam_role.execution[0].arn]
        Condition = { StringEquals = { "iam:PassedToService" = "ecs-tasks.amazonaws.com" } }
      },
    ]
  })
}
