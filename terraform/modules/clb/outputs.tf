output "name" {
  description = "Name of the load balancer, for the `load_balancers` of ecs_service."
  value       = aws_elb.this.name
}

output "arn" {
  description = "ARN of the load balancer."
  value       = aws_elb.this.arn
}

output "dns_name" {
  description = "Name under which the load balancer is reached."
  value       = aws_elb.this.dns_name
}

output "zone_id" {
  description = "Hosted zone of that name, for an alias record."
  value       = aws_elb.this.zone_id
}

output "security_group_id" {
  description = "Security group of the load balancer, for the `ingress` of hosts."
  value       = aws_security_group.this.id
}
