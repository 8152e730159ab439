resource "aws_sqs_queue" "this" {
  name                      = "${local.name}-watch"
  receive_wait_time_seconds = 20

  # Long enough for `ecsroll watch --once` from cron; what is older says nothing any more.
  message_retention_seconds = 4 * 24 * 3600
  sqs_managed_sse_enabled   = var.kms_key_arn == null ? true : null
  kms_master_key_id         = var.kms_key_arn

  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.undelivered.arn
    maxReceiveCount     = 5
  })

  tags = local.tags
}

# What could not be delivered to topic or queue, and what a watcher failed on five times.
resource "aws_sqs_queue" "undelivered" {
  name                      = "${local.name}-undelivered"
  message_retention_seconds = 14 * 24 * 3600
  sqs_managed_sse_enabled   = var.kms_key_arn == null ? true : null
  kms_master_key_id         = var.kms_key_arn
  tags                      = local.tags
}

resource "aws_sqs_queue_policy" "this" {
  for_each = { watch = aws_sqs_queue.this, undelivered = aws_sqs_queue.undelivered }

  queue_url = each.value.url

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [{
        Sid       = "Rules"
        Effect    = "Allow"
        Action    = "sqs:SendMessage"
        Resource  = each.value.arn
        Principal = { Service = "events.amazonaws.com" }
        Condition = { ArnEquals = { "aws:SourceArn" = [for rule in aws_cloudwatch_event_rule.this : rule.arn] } }
      }],
      each.key != "watch" || length(var.ami_topic_arns) == 0 ? [] : [{
        Sid       = "AmiNotices"
        Effect    = "Allow"
        Action    = "sqs:SendMessage"
        Resource  = each.value.arn
        Principal = { Service = "sns.amazonaws.com" }
        Condition = { ArnEquals = { "aws:SourceArn" = values(var.ami_topic_arns) } }
      }],
    )
  })
}

resource "aws_sns_topic_subscription" "ami" {
  for_each = var.ami_topic_arns

  topic_arn = each.value
  protocol  = "sqs"
  endpoint  = aws_sqs_queue.this.arn

  # SNS tries the queue when the subscription is made.
  depends_on = [aws_sqs_queue_policy.this]
}
