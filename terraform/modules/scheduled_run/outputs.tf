output "role_arn" {
  description = "ARN of the role that ecsroll runs as."
  value       = aws_iam_role.this.arn
}

output "role_name" {
  description = "Name of the role that ecsroll runs as."
  value       = aws_iam_role.this.name
}

output "log_group_name" {
  description = "Log group of the runs."
  value       = aws_cloudwatch_log_group.this.name
}

output "schedule_name" {
  description = "Name of the schedule, and of its group."
  value       = aws_scheduler_schedule.this.name
}

output "alarm_names" {
  description = "Names of the alarms."
  value       = concat([aws_cloudwatch_metric_alarm.failed.alarm_name, aws_cloudwatch_metric_alarm.not_started.alarm_name], aws_cloudwatch_metric_alarm.build_failed[*].alarm_name)
}

output "run_now" {
  description = "Command that starts a run at once."
  value = var.fargate == null ? "aws codebuild start-build --project-name ${var.name}" : join(" ", [
    "aws ecs run-task --launch-type FARGATE --cluster ${var.fargate.cluster_arn} --task-definition ${var.name}",
    "--network-configuration 'awsvpcConfiguration={subnets=[${join(",", var.fargate.subnet_ids)}],securityGroups=[${aws_security_group.this[0].id}],assignPublicIp=${var.fargate.assign_public_ip ? "ENABLED" : "DISABLED"}}'",
  ])
}
