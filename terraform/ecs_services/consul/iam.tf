data "aws_caller_identity" "current" {}

locals {
  trust = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "ecs-tasks.amazonaws.com" }
      Condition = { StringEquals = { "aws:SourceAccount" = data.aws_caller_identity.current.account_id } }
    }]
  })
}

resource "aws_iam_role" "task" {
  name_prefix        = substr("${var.name}-task-", 0, 38)
  description        = "Lets ${var.name} find its hosts"
  assume_role_policy = local.trust
  tags               = local.tags
}

resource "aws_iam_role_policy" "task" {
  # checkov:skip=CKV_AWS_355:ec2:DescribeInstances knows no narrower resource
  name = "find-hosts"
  role = aws_iam_role.task.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "FindHostsByTag"
      Effect    = "Allow"
      Action    = ["ec2:DescribeInstances"]
      Resource  = ["*"]
      Condition = { StringEquals = { "aws:RequestedRegion" = data.aws_region.current.region } }
    }]
  })
}

resource "aws_iam_role" "execution" {
  name_prefix        = substr("${var.name}-exec-", 0, 38)
  description        = "Reads the secrets of ${var.name} and opens its log"
  assume_role_policy = local.trust
  tags               = local.tags
}

resource "aws_iam_role_policy" "execution" {
  name = "secrets-and-log"
  role = aws_iam_role.execution.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [{
        Sid      = "Log"
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
        Resource = ["${aws_cloudwatch_log_group.this.arn}:*"]
      }],
      length(local.secrets) == 0 ? [] : [{
        Sid      = "Secrets"
        Effect   = "Allow"
        Action   = ["secretsmanager:GetSecretValue"]
        Resource = values(local.secrets)
      }],
    )
  })
}
