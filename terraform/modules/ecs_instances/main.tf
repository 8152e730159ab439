# The group and its capacity provider. Image: image.tf. Launch template: launch_template.tf. Role: iam.tf. Firewall: security_group.tf.

data "aws_partition" "current" {}

# default_tags reach neither the tag blocks of a group nor what it launches, so they are added by hand.
data "aws_default_tags" "current" {}

locals {
  tags = merge(var.tags, {
    Environment   = var.environment
    Cluster       = var.cluster_name
    InstanceGroup = var.name
  })

  host_tags = merge(data.aws_default_tags.current.tags, local.tags, { Name = var.name })

  mixed = length(var.instance_types) > 1 || var.spot != null
}

resource "aws_autoscaling_group" "this" {
  # No name_prefix: the image parameter is tagged with this name, and a generated one would make a cycle.
  name                = var.name
  min_size            = var.size.min
  max_size            = var.size.max
  vpc_zone_identifier = var.subnet_ids

  # The group has no load balancer of its own: ECS registers tasks, not hosts.
  health_check_type         = "EC2"
  health_check_grace_period = 60

  # Managed termination protection needs hosts that are born protected; ECS lifts it where nothing runs.
  protect_from_scale_in = var.managed_termination_protection

  # Spot: a host is launched for one at risk before that one goes.
  capacity_rebalance = var.spot != null

  termination_policies      = ["OldestLaunchTemplate", "OldestInstance"]
  enabled_metrics           = ["GroupDesiredCapacity", "GroupInServiceInstances", "GroupPendingInstances", "GroupTerminatingInstances"]
  wait_for_capacity_timeout = "0"
  force_delete              = var.force_delete
  force_delete_warm_pool    = var.force_delete

  # A number, never $Latest: only then does the group show in a plan that its template changed.
  dynamic "launch_template" {
    for_each = local.mixed ? [] : [1]

    content {
      id      = aws_launch_template.this.id
      version = aws_launch_template.this.latest_version
    }
  }

  dynamic "mixed_instances_policy" {
    for_each = local.mixed ? [1] : []

    content {
      launch_template {
        launch_template_specification {
          launch_template_id = aws_launch_template.this.id
          version            = aws_launch_template.this.latest_version
        }

        # Types by name, not by requirements: Auto Scaling refuses those with an image behind resolve:ssm.
        # Without weights: a capacity provider does not take a group that has them.
        dynamic "override" {
          for_each = var.instance_types

          content {
            instance_type = override.value
          }
        }
      }

      instances_distribution {
        on_demand_allocation_strategy            = "prioritized"
        on_demand_base_capacity                  = try(var.spot.on_demand_base, 0)
        on_demand_percentage_above_base_capacity = try(var.spot.on_demand_percentage, 100)
        spot_allocation_strategy                 = try(var.spot.allocation_strategy, "price-capacity-optimized")
      }
    }
  }

  # A host replaced for its health is launched first; one more than the group's size, rounded up, at a time.
  instance_maintenance_policy {
    min_healthy_percentage = 100
    max_healthy_percentage = 110
  }

  dynamic "instance_refresh" {
    for_each = var.replaced_by == "instance_refresh" ? [1] : []

    content {
      strategy = "Rolling"

      preferences {
        min_healthy_percentage = 100
        max_healthy_percentage = 110

        # Wait, the default, gives up after an hour if ECS protects a host.
        scale_in_protected_instances = "Refresh"

        # Auto Scaling cannot roll back to an image behind resolve:ssm.
        auto_rollback = false
      }
    }
  }

  dynamic "warm_pool" {
    for_each = var.warm_pool == null ? [] : [var.warm_pool]

    content {
      pool_state                  = warm_pool.value.state
      min_size                    = warm_pool.value.min_size
      max_group_prepared_capacity = warm_pool.value.max_prepared

      # ECS does not support a host that goes back to the pool.
      instance_reuse_policy {
        reuse_on_scale_in = false
      }
    }
  }

  dynamic "tag" {
    # ECS looks for AmazonECSManaged on a group that it scales, and adds it if it is missing: drift.
    for_each = merge(local.host_tags, { AmazonECSManaged = "true" })

    content {
      key                 = tag.key
      value               = tag.value
      propagate_at_launch = true
    }
  }

  lifecycle {
    # ECS and ecsroll decide how many hosts run.
    ignore_changes = [desired_capacity]
  }

  # A host needs its way into ECS and out of the VPC for as long as the group lives.
  depends_on = [aws_iam_role_policy_attachment.ecs, aws_iam_role_policy.this, aws_vpc_security_group_egress_rule.all]
}

resource "aws_autoscaling_lifecycle_hook" "this" {
  for_each = var.lifecycle_hooks

  name                    = each.key
  autoscaling_group_name  = aws_autoscaling_group.this.name
  lifecycle_transition    = { launch = "autoscaling:EC2_INSTANCE_LAUNCHING", terminate = "autoscaling:EC2_INSTANCE_TERMINATING" }[each.value.on]
  heartbeat_timeout       = each.value.heartbeat_seconds
  default_result          = each.value.default_result
  notification_metadata   = each.value.metadata
  notification_target_arn = each.value.notification_target_arn
  role_arn                = each.value.role_arn
}

resource "aws_ecs_capacity_provider" "this" {
  name = var.name

  auto_scaling_group_provider {
    auto_scaling_group_arn         = aws_autoscaling_group.this.arn
    managed_draining               = var.managed_draining ? "ENABLED" : "DISABLED"
    managed_termination_protection = var.managed_termination_protection ? "ENABLED" : "DISABLED"

    managed_scaling {
      status                    = var.managed_scaling == null ? "DISABLED" : "ENABLED"
      target_capacity           = try(var.managed_scaling.target_capacity, null)
      minimum_scaling_step_size = try(var.managed_scaling.minimum_step_size, null)
      maximum_scaling_step_size = try(var.managed_scaling.maximum_step_size, null)
      instance_warmup_period    = try(var.managed_scaling.warmup_seconds, null)
    }
  }

  tags = local.tags
}
