output "topic_arn" {
  description = "Topic of the notices, for the `ami_topic_arns` of ecs_events."
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

output "policy" {
  description = "What the check may do (JSON)."
  value       = local.policy
}

output "command" {
  description = "The command that runs, for a terminal."
  value       = join(" ", concat(["ecsroll"], local.command))
}

output "log_group_name" {
  description = "Log group of the check."
  value       = module.check.log_group_name
}
