output "topic_arn" {
  description = "Topic of the alerts. CloudWatch alarms of this account and the rules of the module ecsroll may publish to it."
  value       = aws_sns_topic.this.arn

  depends_on = [aws_sns_topic_policy.this]
}

output "queue_url" {
  description = "Queue for `ecsroll watch --queue`."
  value       = aws_sqs_queue.this.url
}

output "queue_arn" {
  description = "ARN of that queue, for the policy of whoever watches."
  value       = aws_sqs_queue.this.arn
}

output "undelivered_queue_url" {
  description = "Queue of what could not be delivered."
  value       = aws_sqs_queue.undelivered.url
}
