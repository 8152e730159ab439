output "name" {
  description = "Name of the group."
  value       = var.name
}

output "autoscaling_group_name" {
  description = "Name of the Auto Scaling group, for `ecsroll --asg` and the module ecsroll."
  value       = aws_autoscaling_group.this.name
}

output "autoscaling_group_arn" {
  description = "ARN of the Auto Scaling group."
  value       = aws_autoscaling_group.this.arn
}

output "capacity_provider_name" {
  description = "Name of the capacity provider, for the modules ecs_cluster and ecs_service. Known before it is made."
  value       = var.name

  # Whoever names the provider needs it to be there.
  depends_on = [aws_ecs_capacity_provider.this]
}

output "launch_template_arn" {
  description = "ARN of the launch template."
  value       = aws_launch_template.this.arn
}

output "image_parameter_name" {
  description = "Name of the parameter that holds the image."
  value       = aws_ssm_parameter.image.name
}

output "image_parameter_arn" {
  description = "ARN of the parameter that holds the image."
  value       = aws_ssm_parameter.image.arn
}

output "role_arn" {
  description = "ARN of the hosts' role."
  value       = aws_iam_role.this.arn
}

output "role_name" {
  description = "Name of the hosts' role."
  value       = aws_iam_role.this.name
}

output "security_group_id" {
  description = "The hosts' security group."
  value       = aws_security_group.this.id
}

output "user_data" {
  description = "User data of the hosts, as it is rendered."
  value       = local.user_data
}
