# https://docs.aws.amazon.com/vpc/latest/userguide/flow-logs-iam-role.html

data "aws_caller_identity" "current" {}

resource "aws_cloudwatch_log_group" "flow" {
  count = var.flow_logs == null ? 0 : 1

  name              = "/vpc/${var.name}/flow"
  retention_in_days = var.flow_logs.retention_days
  # checkov:skip=CKV_AWS_158:CloudWatch Logs encrypts by itself; a key of one's own is given as flow_logs.kms_key_arn
  kms_key_id = var.flow_logs.kms_key_arn
  tags       = local.tags
}

resource "aws_iam_role" "flow" {
  count = var.flow_logs == null ? 0 : 1

  name_prefix = substr("${var.name}-flow-logs-", 0, 38)
  description = "Lets the flow logs of the VPC ${var.name} write to their log group"

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "vpc-flow-logs.amazonaws.com" }
      Condition = { StringEquals = { "aws:SourceAccount" = data.aws_caller_identity.current.account_id } }
    }]
  })

  tags = local.tags
}

resource "aws_iam_role_policy" "flow" {
  count = var.flow_logs == null ? 0 : 1

  name = "write-flow-logs"
  role = aws_iam_role.flow[0].id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect   = "Allow"
      Action   = ["logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogStreams"]
      Resource = ["${aws_cloudwatch_log_group.flow[0].arn}:*"]
    }]
  })
}

resource "aws_flow_log" "this" {
  count = var.flow_logs == null ? 0 : 1

  vpc_id               = aws_vpc.this.id
  traffic_type         = var.flow_logs.traffic
  log_destination_type = "cloud-watch-logs"
  log_destination      = aws_cloudwatch_log_group.flow[0].arn
  iam_role_arn         = aws_iam_role.flow[0].arn
  tags                 = merge(local.tags, { Name = var.name })
}
