output "name" {
  description = "Name of the cluster, for groups. It does not wait for the capacity providers, which wait for the groups."
  value       = aws_ecs_cluster.this.name
}

output "arn" {
  description = "ARN of the cluster, for services. It waits for the capacity providers: a service made before them has no host to go to."
  value       = aws_ecs_cluster.this.arn

  depends_on = [aws_ecs_cluster_capacity_providers.this]
}

output "exec_log_group_name" {
  description = "Log group of ECS Exec; null without exec_logging."
  value       = one(aws_cloudwatch_log_group.exec[*].name)
}

output "service_connect_namespace_arn" {
  description = "ARN of the Service Connect namespace; null without one."
  value       = one(aws_service_discovery_http_namespace.this[*].arn)
}
