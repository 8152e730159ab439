output "ecs_config" {
  description = "The lines for /etc/ecs/ecs.config, without the registry credentials."
  value       = local.ecs_config
}

output "script" {
  description = "Shell lines for user data that write /etc/ecs/ecs.config and add the registry credentials."
  value       = local.script
}

output "bottlerocket" {
  description = "The same as Bottlerocket settings (TOML)."
  value       = local.bottlerocket

  precondition {
    condition     = length(local.not_for_bottlerocket) == 0 || !var.bottlerocket
    error_message = "Bottlerocket has no setting for ${join(", ", local.not_for_bottlerocket)}: it has no shell to fetch or write them with."
  }
}

output "statements" {
  description = "IAM statements that a host needs: reading just that S3 object. Empty without registry credentials."
  value       = local.statements
}

output "policy" {
  description = "The statements as a policy (JSON); null without registry credentials."
  value       = length(local.statements) == 0 ? null : jsonencode({ Version = "2012-10-17", Statement = local.statements })
}
