mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  name        = "demo"
  environment = "test"
}

run "insights_on_by_default" {
  command = plan

  assert {
    condition     = one(aws_ecs_cluster.this.setting).name == "containerInsights" && one(aws_ecs_cluster.this.setting).value == "enabled"
    error_message = "Container Insights must be on."
  }
}

run "insights_can_be_enhanced" {
  command = plan

  variables {
    container_insights = "enhanced"
  }

  assert {
    condition     = one(aws_ecs_cluster.this.setting).value == "enhanced"
    error_message = "The choice must reach the cluster."
  }
}

run "exec_is_logged" {
  command = plan

  assert {
    condition = (
      aws_ecs_cluster.this.configuration[0].execute_command_configuration[0].logging == "OVERRIDE"
      && aws_ecs_cluster.this.configuration[0].execute_command_configuration[0].log_configuration[0].cloud_watch_log_group_name == "/ecs/demo/exec"
    )
    error_message = "What people do in containers must be logged."
  }
}

run "exec_log_takes_a_key" {
  command = plan

  variables {
    exec_logging = { kms_key_arn = "arn:aws:kms:eu-central-1:123456789012:key/0a1b", retention_days = 90 }
  }

  assert {
    condition = (
      aws_ecs_cluster.this.configuration[0].execute_command_configuration[0].kms_key_id == "arn:aws:kms:eu-central-1:123456789012:key/0a1b"
      && aws_ecs_cluster.this.configuration[0].execute_command_configuration[0].log_configuration[0].cloud_watch_encryption_enabled
      && aws_cloudwatch_log_group.exec[0].kms_key_id == "arn:aws:kms:eu-central-1:123456789012:key/0a1b"
      && aws_cloudwatch_log_group.exec[0].retention_in_days == 90
    )
    error_message = "Session and log must be encrypted with it."
  }
}

run "exec_logging_can_be_left_out" {
  command = plan

  variables {
    exec_logging = null
  }

  assert {
    condition     = length(aws_ecs_cluster.this.configuration) == 0 && output.exec_log_group_name == null
    error_message = "No log group and no configuration."
  }
}

run "service_connect_namespace" {
  variables {
    service_connect_namespace = "demo.internal"
  }

  assert {
    condition     = aws_ecs_cluster.this.service_connect_defaults[0].namespace == aws_service_discovery_http_namespace.this[0].arn
    error_message = "The namespace must be the cluster's default."
  }
}

run "strategy_of_the_groups" {
  variables {
    capacity_providers = {
      demo-general = { base = 2 }
      demo-spot    = { weight = 3 }
      demo-gpu     = { weight = 0 }
    }
  }

  assert {
    condition     = toset(aws_ecs_cluster_capacity_providers.this.capacity_providers) == toset(["demo-general", "demo-spot", "demo-gpu"])
    error_message = "All belong to the cluster."
  }
  assert {
    condition     = { for item in aws_ecs_cluster_capacity_providers.this.default_capacity_provider_strategy : item.capacity_provider => "${item.base}+${item.weight}" } == { demo-general = "2+1", demo-spot = "0+3" }
    error_message = "Those with weight or base are the default strategy."
  }
}

run "tagged_with_the_environment" {
  command = plan

  variables {
    service_connect_namespace = "demo.internal"
  }

  assert {
    condition     = alltrue([for resource in [aws_ecs_cluster.this, aws_cloudwatch_log_group.exec[0], aws_service_discovery_http_namespace.this[0]] : resource.tags.Environment == "test"])
    error_message = "The Environment tag on everything."
  }
}

run "refuses_two_bases" {
  command = plan

  variables {
    capacity_providers = { a = { base = 1 }, b = { base = 1 } }
  }

  expect_failures = [var.capacity_providers]
}

run "refuses_fargate_beside_groups" {
  command = plan

  variables {
    capacity_providers = { demo-general = {}, FARGATE = {} }
  }

  expect_failures = [var.capacity_providers]
}

run "refuses_unknown_insights" {
  command = plan

  variables {
    container_insights = "on"
  }

  expect_failures = [var.container_insights]
}

run "refuses_a_name_with_a_dot" {
  command = plan

  variables {
    name = "demo.prod"
  }

  expect_failures = [var.name]
}
