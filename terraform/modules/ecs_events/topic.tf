resource "aws_sns_topic" "this" {
  # checkov:skip=CKV_AWS_26:with the key of AWS (alias/aws/sns) EventBridge cannot publish; kms_key_arn takes one of your own
  name              = "${local.name}-alerts"
  kms_master_key_id = var.kms_key_arn
  tags              = local.tags
}

# Without it EventBridge is refused, and says so nowhere.
resource "aws_sns_topic_policy" "this" {
  arn = aws_sns_topic.this.arn

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "Rules"
        Effect    = "Allow"
        Action    = "sns:Publish"
        Resource  = aws_sns_topic.this.arn
        Principal = { Service = "events.amazonaws.com" }
        Condition = { ArnEquals = { "aws:SourceArn" = [for name in sort(tolist(var.alerts)) : aws_cloudwatch_event_rule.this[name].arn] } }
      },
      {
        # So that an alarm, that of the module ecsroll for one, can speak here too.
        Sid       = "Alarms"
        Effect    = "Allow"
        Action    = "sns:Publish"
        Resource  = aws_sns_topic.this.arn
        Principal = { Service = "cloudwatch.amazonaws.com" }
        Condition = { StringEquals = { "aws:SourceAccount" = local.account } }
      },
      {
        # The rule of the module ecsroll that tells of a task that failed.
        Sid       = "OtherRules"
        Effect    = "Allow"
        Action    = "sns:Publish"
        Resource  = aws_sns_topic.this.arn
        Principal = { Service = "events.amazonaws.com" }
        Condition = { ArnLike = { "aws:SourceArn" = "arn:${data.aws_partition.current.partition}:events:${data.aws_region.current.region}:${local.account}:rule/ecsroll-*" } }
      },
    ]
  })
}

resource "aws_sns_topic_subscription" "this" {
  for_each = var.subscriptions

  topic_arn = aws_sns_topic.this.arn
  protocol  = each.value.protocol
  endpoint  = each.value.endpoint
}

resource "aws_lambda_permission" "this" {
  for_each = { for name, subscription in var.subscriptions : name => subscription if subscription.protocol == "lambda" }

  statement_id  = "${local.name}-${each.key}"
  action        = "lambda:InvokeFunction"
  function_name = each.value.endpoint
  principal     = "sns.amazonaws.com"
  source_arn    = aws_sns_topic.this.arn
}

# ------------------------------------------------------------------- Slack --

resource "aws_iam_role" "slack" {
  count = length(var.slack) > 0 ? 1 : 0

  name_prefix = substr("${local.name}-slack-", 0, 38)
  description = "Shows alerts of ${var.cluster_name} in Slack; allows nothing else"

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "chatbot.amazonaws.com" }
      Condition = { StringEquals = { "aws:SourceAccount" = local.account } }
    }]
  })

  tags = local.tags
}

resource "aws_chatbot_slack_channel_configuration" "this" {
  for_each = var.slack

  configuration_name = "${local.name}-${each.key}"
  slack_team_id      = each.value.team_id
  slack_channel_id   = each.value.channel_id
  iam_role_arn       = aws_iam_role.slack[0].arn
  sns_topic_arns     = [aws_sns_topic.this.arn]
  logging_level      = "ERROR"
  tags               = local.tags

  # Whoever may write in the channel could otherwise run commands with more than this role.
  guardrail_policy_arns = ["arn:${data.aws_partition.current.partition}:iam::aws:policy/AWSDenyAll"]
}
