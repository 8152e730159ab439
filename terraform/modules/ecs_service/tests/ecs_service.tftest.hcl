mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  name        = "web"
  environment = "test"
  cluster_arn = "arn:aws:ecs:eu-central-1:123456789012:cluster/demo"
  task        = { containers = "[{\"name\":\"web\",\"image\":\"nginx:1.29\",\"memory\":128}]" }
}

# --------------------------------------------------------------- placement --

run "spreads_over_zones_then_hosts" {
  command = plan

  assert {
    condition     = [for strategy in aws_ecs_service.this.ordered_placement_strategy : "${strategy.type} ${strategy.field}"] == ["spread attribute:ecs.availability-zone", "spread instanceId"]
    error_message = "Zones first, then hosts."
  }
}

run "strategies_in_the_order_given" {
  command = plan

  variables {
    placement_strategies = [{ type = "binpack", field = "memory" }, { type = "random" }]
  }

  assert {
    condition     = aws_ecs_service.this.ordered_placement_strategy[0].type == "binpack" && aws_ecs_service.this.ordered_placement_strategy[0].field == "memory" && aws_ecs_service.this.ordered_placement_strategy[1].type == "random"
    error_message = "As given, in that order."
  }
}

run "constraints_as_given" {
  command = plan

  variables {
    placement_constraints = [{ type = "distinctInstance" }, { type = "memberOf", expression = "attribute:instance-group == demo-general" }]
  }

  assert {
    condition     = toset([for constraint in aws_ecs_service.this.placement_constraints : constraint.type]) == toset(["distinctInstance", "memberOf"])
    error_message = "Both, and no fence unless asked for."
  }
}

run "fence_keeps_off_outdated_hosts" {
  command = plan

  variables {
    fence = true
  }

  assert {
    condition     = [for constraint in aws_ecs_service.this.placement_constraints : "${constraint.type} ${constraint.expression}"] == ["memberOf attribute:ecsroll.outdated !exists"]
    error_message = "ecsroll knows a fenced service by exactly this expression."
  }
}

run "refuses_fence_on_a_daemon" {
  command = plan

  variables {
    fence               = true
    scheduling_strategy = "DAEMON"
  }

  expect_failures = [var.fence]
}

run "refuses_binpack_by_zone" {
  command = plan

  variables {
    placement_strategies = [{ type = "binpack", field = "attribute:ecs.availability-zone" }]
  }

  expect_failures = [var.placement_strategies]
}

run "refuses_unknown_strategy" {
  command = plan

  variables {
    placement_strategies = [{ type = "stack" }]
  }

  expect_failures = [var.placement_strategies]
}

run "refuses_six_strategies" {
  command = plan

  variables {
    placement_strategies = [for i in range(6) : { type = "random" }]
  }

  expect_failures = [var.placement_strategies]
}

run "refuses_member_of_nothing" {
  command = plan

  variables {
    placement_constraints = [{ type = "memberOf" }]
  }

  expect_failures = [var.placement_constraints]
}

run "refuses_to_be_bound_to_an_image" {
  command = plan

  variables {
    placement_constraints = [{ type = "memberOf", expression = "attribute:ecs.ami-id == ami-0123456789abcdef0" }]
  }

  expect_failures = [var.placement_constraints]
}

run "refuses_reserved_attribute" {
  command = plan

  variables {
    placement_constraints = [{ type = "memberOf", expression = "attribute:ecsroll.drain !exists" }]
  }

  expect_failures = [var.placement_constraints]
}

# -------------------------------------------------------------- deployment --

run "bounds_that_can_drain" {
  command = plan

  assert {
    condition     = aws_ecs_service.this.deployment_minimum_healthy_percent == 100 && aws_ecs_service.this.deployment_maximum_percent == 200
    error_message = "Start first, stop then."
  }
}

run "refuses_bounds_that_cannot_drain" {
  command = plan

  variables {
    deployment = { minimum_healthy_percent = 100, maximum_percent = 100 }
  }

  expect_failures = [var.deployment]
}

run "refuses_bounds_that_cannot_drain_for_rounding" {
  command = plan

  # ceil(2 * 75 %) = 2, floor(2 * 125 %) = 2: nothing can start and nothing can stop.
  variables {
    deployment = { minimum_healthy_percent = 75, maximum_percent = 125 }
  }

  expect_failures = [var.deployment]
}

run "takes_the_same_bounds_for_more_tasks" {
  command = plan

  variables {
    desired_count = 4
    deployment    = { minimum_healthy_percent = 75, maximum_percent = 125 }
  }

  assert {
    condition     = aws_ecs_service.this.deployment_minimum_healthy_percent == 75
    error_message = "Four tasks leave room for one."
  }
}

run "refuses_bounds_that_cannot_drain_when_scaled_in" {
  command = plan

  variables {
    desired_count = 4
    autoscaling   = { min = 1, max = 8, cpu_percent = 60 }
    deployment    = { minimum_healthy_percent = 75, maximum_percent = 125 }
  }

  expect_failures = [var.deployment]
}

run "daemon_stops_before_it_starts" {
  command = plan

  variables {
    scheduling_strategy = "DAEMON"
  }

  assert {
    condition     = aws_ecs_service.this.deployment_minimum_healthy_percent == 0 && aws_ecs_service.this.deployment_maximum_percent == 100 && length(aws_ecs_service.this.ordered_placement_strategy) == 0
    error_message = "A host has room for one."
  }
  assert {
    condition     = aws_ecs_service.this.availability_zone_rebalancing == "DISABLED"
    error_message = "ECS does not rebalance a daemon."
  }
  assert {
    condition     = aws_ecs_service.this.launch_type == "EC2"
    error_message = "The cluster's default strategy is not for a daemon."
  }
}

run "refuses_a_daemon_that_starts_first" {
  command = plan

  variables {
    scheduling_strategy = "DAEMON"
    deployment          = { maximum_percent = 200 }
  }

  expect_failures = [var.deployment]
}

run "circuit_breaker_rolls_back" {
  command = plan

  variables {
    alarms = ["web-5xx"]
  }

  assert {
    condition     = aws_ecs_service.this.deployment_circuit_breaker[0].enable && aws_ecs_service.this.deployment_circuit_breaker[0].rollback
    error_message = "A deployment that does not start must end."
  }
  assert {
    condition     = aws_ecs_service.this.alarms[0].rollback && aws_ecs_service.this.alarms[0].alarm_names == toset(["web-5xx"])
    error_message = "Alarms must end it too."
  }
}

# ------------------------------------------------------------------ around --

run "behind_an_application_balancer" {
  command = plan

  variables {
    load_balancers = [{ target_group_arn = "arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/web/0a1b", container_name = "web", container_port = 80 }]
  }

  assert {
    condition     = one(aws_ecs_service.this.load_balancer).container_port == 80 && aws_ecs_service.this.health_check_grace_period_seconds == 60 && aws_ecs_service.this.availability_zone_rebalancing == "ENABLED"
    error_message = "Registered, with time to start."
  }
}

run "behind_a_classic_balancer" {
  command = plan

  variables {
    load_balancers = [{ elb_name = "demo", container_name = "web", container_port = 80 }]
  }

  assert {
    condition     = one(aws_ecs_service.this.load_balancer).elb_name == "demo" && aws_ecs_service.this.availability_zone_rebalancing == "DISABLED"
    error_message = "ECS does not rebalance a service behind a classic balancer."
  }
}

run "refuses_rebalancing_behind_a_classic_balancer" {
  command = plan

  variables {
    availability_zone_rebalancing = true
    load_balancers                = [{ elb_name = "demo", container_name = "web", container_port = 80 }]
  }

  expect_failures = [var.availability_zone_rebalancing]
}

run "refuses_a_balancer_of_both_kinds" {
  command = plan

  variables {
    load_balancers = [{ elb_name = "demo", target_group_arn = "arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/web/0a1b", container_name = "web", container_port = 80 }]
  }

  expect_failures = [var.load_balancers]
}

run "count_belongs_to_scaling" {
  command = plan

  variables {
    autoscaling = { min = 2, max = 8, cpu_percent = 60 }
  }

  assert {
    condition     = aws_appautoscaling_target.this[0].resource_id == "service/demo/web" && aws_appautoscaling_target.this[0].min_capacity == 2
    error_message = "The target must be this service."
  }
  assert {
    condition     = keys(aws_appautoscaling_policy.this) == ["ECSServiceAverageCPUUtilization"]
    error_message = "One policy for each use that is aimed at."
  }
}

run "count_is_no_drift_before" {
  variables {
    desired_count = 2
  }

  assert {
    condition     = aws_ecs_service.this.desired_count == 2
    error_message = "A new service starts with it."
  }
}

run "count_is_no_drift" {
  variables {
    desired_count = 5
  }

  assert {
    condition     = aws_ecs_service.this.desired_count == 2
    error_message = "Terraform must not set the count of a service that is there."
  }
}

run "runs_by_the_providers_given" {
  command = plan

  variables {
    capacity_providers = {
      demo-general = { weight = 2, base = 1 }
      demo-spot    = { weight = 3 }
    }
  }

  assert {
    condition = { for item in aws_ecs_service.this.capacity_provider_strategy : item.capacity_provider => [item.weight, item.base] } == {
      demo-general = [2, 1]
      demo-spot    = [3, 0]
    }
    error_message = "Weight and base of each provider, instead of the cluster's default strategy."
  }
  assert {
    condition     = aws_ecs_service.this.force_new_deployment
    error_message = "Another strategy takes effect by a new deployment; without it Terraform would make the service anew."
  }
}

run "own_network_interface" {
  command = plan

  variables {
    task               = { containers = "[{\"name\":\"web\",\"image\":\"nginx:1.29\",\"memory\":128}]", network_mode = "awsvpc" }
    subnet_ids         = ["subnet-0123456789abcdef0"]
    security_group_ids = ["sg-0123456789abcdef0"]
  }

  assert {
    condition     = aws_ecs_service.this.network_configuration[0].assign_public_ip == false && aws_ecs_task_definition.this[0].network_mode == "awsvpc"
    error_message = "In the subnets given, without a public address."
  }
}

run "service_connect_in_the_clusters_namespace" {
  command = plan

  variables {
    service_connect = { http = { dns_name = "web", port = 80 } }
  }

  assert {
    condition     = aws_ecs_service.this.service_connect_configuration[0].enabled && aws_ecs_service.this.service_connect_configuration[0].service[0].port_name == "http"
    error_message = "The port must be served."
  }
}

run "task_definition_of_others" {
  command = plan

  variables {
    task                = null
    task_definition_arn = "arn:aws:ecs:eu-central-1:123456789012:task-definition/web:7"
  }

  assert {
    condition     = aws_ecs_service.this.task_definition == "arn:aws:ecs:eu-central-1:123456789012:task-definition/web:7" && length(aws_ecs_task_definition.this) == 0
    error_message = "Theirs, and none made here."
  }
}

run "refuses_no_task_definition" {
  command = plan

  variables {
    task = null
  }

  expect_failures = [var.task_definition_arn]
}

run "tagged_with_the_environment" {
  command = plan

  variables {
    autoscaling = { min = 2, max = 8, cpu_percent = 60 }
  }

  assert {
    condition     = alltrue([for resource in [aws_ecs_service.this, aws_ecs_task_definition.this[0], aws_appautoscaling_target.this[0]] : resource.tags.Environment == "test"]) && aws_ecs_service.this.propagate_tags == "SERVICE"
    error_message = "The Environment tag on everything, tasks too."
  }
}
