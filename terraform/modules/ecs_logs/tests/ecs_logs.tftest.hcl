mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  cluster_name = "demo"
  environment  = "test"
}

run "every_log_has_its_group" {
  command = plan

  assert {
    condition     = toset(keys(aws_cloudwatch_log_group.this)) == toset(["dmesg", "messages", "docker", "ecs-init", "ecs-agent", "audit"])
    error_message = "Six logs, six groups."
  }
  assert {
    condition     = aws_cloudwatch_log_group.this["audit"].name == "/ecs/demo/hosts/audit"
    error_message = "The name must hold the cluster."
  }
}

run "the_agent_writes_to_those_groups" {
  command = plan

  assert {
    condition = (toset([for file in jsondecode(output.agent_config).logs.logs_collected.files.collect_list : file.log_group_name])
    == toset([for group in aws_cloudwatch_log_group.this : group.name]))
    error_message = "The agent must write to the groups that Terraform makes: it may not make any."
  }
  assert {
    condition     = alltrue([for file in jsondecode(output.agent_config).logs.logs_collected.files.collect_list : file.log_stream_name == "{instance_id}"])
    error_message = "A stream for each host."
  }
  assert {
    condition     = strcontains(output.script, output.agent_config)
    error_message = "The script must write the agent's configuration."
  }
}

run "retention_prefix_and_key" {
  command = plan

  variables {
    prefix         = "/prod/hosts"
    retention_days = 30
    kms_key_arn    = "arn:aws:kms:eu-central-1:123456789012:key/0a1b"
  }

  assert {
    condition     = alltrue([for group in aws_cloudwatch_log_group.this : group.retention_in_days == 30 && startswith(group.name, "/prod/hosts/") && group.kms_key_id == "arn:aws:kms:eu-central-1:123456789012:key/0a1b"])
    error_message = "All groups must take them."
  }
}

run "may_write_those_groups_only" {
  assert {
    condition     = jsondecode(output.policy).Statement[0].Action == ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"]
    error_message = "No group may be made and no retention changed by a host."
  }
  assert {
    condition     = alltrue([for resource in jsondecode(output.policy).Statement[0].Resource : endswith(resource, ":*") && strcontains(resource, ":log-group:")]) && length(jsondecode(output.policy).Statement[0].Resource) == 6
    error_message = "Its own six groups only."
  }
}

run "tagged_with_the_environment" {
  command = plan

  assert {
    condition     = alltrue([for group in aws_cloudwatch_log_group.this : group.tags.Environment == "test" && group.tags.Cluster == "demo"])
    error_message = "Environment and Cluster tags."
  }
}

run "refuses_unknown_retention" {
  command = plan

  variables {
    retention_days = 31
  }

  expect_failures = [var.retention_days]
}

run "refuses_a_prefix_that_ends_with_a_slash" {
  command = plan

  variables {
    prefix = "/prod/"
  }

  expect_failures = [var.prefix]
}
