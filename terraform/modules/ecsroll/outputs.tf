output "policy" {
  description = "The policy (JSON), for a role of your own: of a CI job, of whoever runs ecsroll by hand."
  value       = local.policy
}

output "command" {
  description = "The command that runs, for a terminal."
  value       = join(" ", concat(["ecsroll"], [for word in local.command : can(regex("^[A-Za-z0-9_./:=%,@+-]+$", word)) ? word : "'${replace(word, "'", "'\\''")}'"]))
}

output "role_arn" {
  description = "ARN of the role that ecsroll runs as."
  value       = module.run.role_arn
}

output "log_group_name" {
  description = "Log group of the rolls."
  value       = module.run.log_group_name
}

output "alarm_names" {
  description = "Names of the alarms."
  value       = module.run.alarm_names
}

output "run_now" {
  description = "AWS command that starts a roll at once, where the schedule would start it."
  value       = module.run.run_now
}
