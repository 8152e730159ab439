output "arn" {
  description = "ARN of the load balancer."
  value       = aws_lb.this.arn
}

output "dns_name" {
  description = "Name under which the load balancer is reached."
  value       = aws_lb.this.dns_name
}

output "zone_id" {
  description = "Hosted zone of that name, for an alias record."
  value       = aws_lb.this.zone_id
}

output "security_group_id" {
  description = "Security group of the load balancer, for the `ingress` of hosts."
  value       = aws_security_group.this.id
}

output "target_group_arns" {
  description = "ARNs of the target groups by name. They wait for the listener's rule: ECS refuses a service whose target group has no load balancer."
  value       = { for name, group in aws_lb_target_group.this : name => group.arn }

  depends_on = [aws_lb_listener_rule.this]
}
