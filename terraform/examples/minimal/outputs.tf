output "roll" {
  description = "The command that replaces the hosts."
  value       = "ecsroll replace --region ${var.region} --cluster ${module.cluster.name} --asg ${module.hosts.autoscaling_group_name}"
}
