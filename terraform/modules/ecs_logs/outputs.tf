output "log_group_names" {
  description = "Log groups by what they hold: dmesg, messages, docker, ecs-init, ecs-agent, audit."
  value       = { for name, group in aws_cloudwatch_log_group.this : name => group.name }
}

output "agent_config" {
  description = "Configuration of the CloudWatch agent (JSON)."
  value       = local.agent_config
}

output "script" {
  description = "Shell lines for user data that install and start the agent."
  value       = local.script
}

output "statements" {
  description = "IAM statements that a host needs to write there."
  value       = local.statements
}

output "policy" {
  description = "The statements as a policy (JSON)."
  value       = jsonencode({ Version = "2012-10-17", Statement = local.statements })
}
