output "cluster_name" {
  description = "Name of the cluster."
  value       = module.cluster.name
}

output "alb_dns_name" {
  description = "Where web answers."
  value       = module.alb.dns_name
}

output "roll" {
  description = "The command that the schedule runs."
  value       = module.ecsroll.command
}

output "roll_now" {
  description = "AWS command that starts it at once, where the schedule would."
  value       = module.ecsroll.run_now
}

output "policy" {
  description = "What ecsroll may do here (JSON)."
  value       = module.ecsroll.policy
}

output "watch_queue_url" {
  description = "Queue for `ecsroll watch --queue`."
  value       = module.events.queue_url
}
