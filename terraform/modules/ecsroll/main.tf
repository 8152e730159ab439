# `ecsroll replace` on a schedule. What it may do: policy.tf.

module "run" {
  source = "../scheduled_run"

  name             = "ecsroll-${var.cluster_name}"
  environment      = var.environment
  tags             = merge(var.tags, { Cluster = var.cluster_name })
  command          = local.command
  policy           = local.policy
  schedule         = var.schedule
  fargate          = var.fargate
  codebuild        = var.codebuild
  alarm_topic_arns = var.alarm_topic_arns
  log              = var.log
}

locals {
  command = concat(
    ["replace", "--cluster", var.cluster_name],
    flatten([for group in var.groups : ["--asg", group.autoscaling_group_name]]),
    flatten([for alarm in var.alarms : ["--alarm", alarm]]),
    flatten([for place in var.tell : ["--tell", place]]),
    var.webhook_secret == null ? [] : ["--webhook-secret", var.webhook_secret],
    var.options,
    ["--yes", "--json"],
  )
}
