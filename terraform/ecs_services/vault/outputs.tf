output "service_name" {
  description = "Name of the service."
  value       = module.nodes.name
}

output "health_path" {
  description = "Path for the target group's health check; the code to expect is 200."
  value       = local.health_path
}

output "table_name" {
  description = "Name of the table that holds everything, for backups."
  value       = aws_dynamodb_table.this.name
}

output "seal_key_arn" {
  description = "ARN of the key that unseals."
  value       = aws_kms_key.seal.arn
}

output "log_group_name" {
  description = "Log group of the nodes."
  value       = aws_cloudwatch_log_group.this.name
}

output "deployment" {
  description = "How many nodes there are, and the bounds in which ECS replaces them."
  value       = merge({ nodes = var.nodes }, local.deployment)
}
