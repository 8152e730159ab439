locals {
  tags    = merge(var.tags, { Environment = var.environment, Service = var.name })
  replica = var.scheduling_strategy == "REPLICA"

  strategies = var.placement_strategies != null ? var.placement_strategies : local.replica ? [
    { type = "spread", field = "attribute:ecs.availability-zone" },
    { type = "spread", field = "instanceId" },
  ] : []

  # The fence: ecsroll puts the attribute on hosts that it is about to replace and takes it away with them. A task that one
  # of them loses then lands on a new host, never on the next old one.
  constraints = concat(var.placement_constraints, var.fence ? [{ type = "memberOf", expression = "attribute:ecsroll.outdated !exists" }] : [])

  maximum_percent = coalesce(var.deployment.maximum_percent, local.replica ? 200 : 100)

  can_rebalance = (
    local.replica
    && alltrue([for balancer in var.load_balancers : balancer.elb_name == null])
    && local.maximum_percent > 100
    && try(local.strategies[0].field == "attribute:ecs.availability-zone", true)
  )
}

resource "aws_ecs_task_definition" "this" {
  count = var.task == null ? 0 : 1

  # checkov:skip=CKV_AWS_249:two variables; the scanner takes two ARNs that it does not know yet for one
  # checkov:skip=CKV_AWS_97:volumes are directories of the host; its disk is encrypted
  # checkov:skip=CKV_AWS_336:whether a root file system is read-only is said in the container definitions
  family                   = var.name
  requires_compatibilities = ["EC2"]
  network_mode             = var.task.network_mode
  cpu                      = var.task.cpu
  memory                   = var.task.memory
  task_role_arn            = var.task.task_role_arn
  execution_role_arn       = var.task.execution_role_arn
  container_definitions    = var.task.containers
  tags                     = local.tags

  dynamic "volume" {
    for_each = var.task.volumes

    content {
      name      = volume.key
      host_path = volume.value
    }
  }
}

resource "aws_ecs_service" "this" {
  name                = var.name
  cluster             = var.cluster_arn
  task_definition     = var.task == null ? var.task_definition_arn : aws_ecs_task_definition.this[0].arn
  scheduling_strategy = var.scheduling_strategy

  # A daemon is on every host: the cluster's default strategy is not for it.
  launch_type = local.replica ? null : "EC2"

  desired_count = local.replica ? var.desired_count : null

  deployment_minimum_healthy_percent = coalesce(var.deployment.minimum_healthy_percent, local.replica ? 100 : 0)
  deployment_maximum_percent         = local.maximum_percent
  availability_zone_rebalancing      = coalesce(var.availability_zone_rebalancing, local.can_rebalance) ? "ENABLED" : "DISABLED"
  health_check_grace_period_seconds  = length(var.load_balancers) > 0 ? var.health_check_grace_period : null
  enable_execute_command             = var.exec
  enable_ecs_managed_tags            = true
  propagate_tags                     = "SERVICE"

  # Another strategy takes effect by a new deployment only; without this Terraform would make the service anew.
  force_new_deployment = length(var.capacity_providers) > 0

  tags = local.tags

  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }

  dynamic "alarms" {
    for_each = length(var.alarms) > 0 ? [1] : []

    content {
      enable      = true
      rollback    = true
      alarm_names = var.alarms
    }
  }

  dynamic "capacity_provider_strategy" {
    for_each = var.capacity_providers

    content {
      capacity_provider = capacity_provider_strategy.key
      weight            = capacity_provider_strategy.value.weight
      base              = capacity_provider_strategy.value.base
    }
  }

  dynamic "ordered_placement_strategy" {
    for_each = local.strategies

    content {
      type  = ordered_placement_strategy.value.type
      field = ordered_placement_strategy.value.field
    }
  }

  dynamic "placement_constraints" {
    for_each = local.constraints

    content {
      type       = placement_constraints.value.type
      expression = placement_constraints.value.expression
    }
  }

  dynamic "load_balancer" {
    for_each = var.load_balancers

    content {
      target_group_arn = load_balancer.value.target_group_arn
      elb_name         = load_balancer.value.elb_name
      container_name   = load_balancer.value.container_name
      container_port   = load_balancer.value.container_port
    }
  }

  dynamic "network_configuration" {
    for_each = length(var.subnet_ids) > 0 ? [1] : []

    content {
      subnets          = var.subnet_ids
      security_groups  = var.security_group_ids
      assign_public_ip = false
    }
  }

  dynamic "service_connect_configuration" {
    for_each = var.service_connect == null ? [] : [1]

    content {
      enabled = true

      dynamic "service" {
        for_each = var.service_connect

        content {
          port_name = service.key

          client_alias {
            dns_name = service.value.dns_name
            port     = service.value.port
          }
        }
      }
    }
  }

  lifecycle {
    # The count belongs to scaling and to people.
    ignore_changes = [desired_count]
  }
}
