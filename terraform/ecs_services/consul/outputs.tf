output "service_name" {
  description = "Name of the service of the servers."
  value       = module.servers.name
}

output "log_group_name" {
  description = "Log group of servers and clients."
  value       = aws_cloudwatch_log_group.this.name
}

output "ports" {
  description = "Ports that the hosts' security groups must open to each other, with their protocols."
  value = {
    rpc      = { port = 8300, protocols = ["tcp"] }
    serf_lan = { port = 8301, protocols = ["tcp", "udp"] }
    http     = { port = 8500, protocols = ["tcp"] }
    dns      = { port = 8600, protocols = ["tcp", "udp"] }
  }
}

output "deployment" {
  description = "How many servers there are, and the bounds in which ECS replaces them."
  value       = merge({ servers = local.count }, local.deployment)
}
