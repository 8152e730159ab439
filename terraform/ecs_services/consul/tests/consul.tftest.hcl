mock_provider "aws" {
  source          = "./tests/mocks"
  override_during = plan
}

variables {
  environment           = "test"
  cluster_arn           = "arn:aws:ecs:us-east-1:123456789012:cluster/demo"
  mode                  = "server"
  image                 = "hashicorp/consul:1.21.3"
  instance_group        = "demo-consul"
  gossip_key_secret_arn = "arn:aws:secretsmanager:us-east-1:123456789012:secret:gossip-a1b2c3"
}

run "one_server_at_a_time" {
  command = plan

  # Of 3, ceil(3 * 66 %) = 2 must stay: one may go, never two.
  assert {
    condition     = output.deployment == { servers = 3, minimum_healthy_percent = 66, maximum_percent = 100 }
    error_message = "A drain must be able to stop one server, and only one."
  }
}

run "one_of_five_at_a_time" {
  command = plan

  variables {
    servers = 5
  }

  assert {
    condition     = output.deployment == { servers = 5, minimum_healthy_percent = 80, maximum_percent = 100 }
    error_message = "Four of five stay."
  }
}

run "finds_servers_by_their_group" {
  command = plan

  assert {
    condition     = jsondecode(local.server.environment[0].value).retry_join == ["provider=aws tag_key=InstanceGroup tag_value=demo-consul addr_type=private_v4"] && jsondecode(local.server.environment[0].value).bootstrap_expect == 3
    error_message = "Servers find the hosts of their group."
  }
  assert {
    condition     = jsondecode(aws_iam_role_policy.task.policy).Statement[0].Action == ["ec2:DescribeInstances"] && length(jsondecode(aws_iam_role_policy.task.policy).Statement) == 1
    error_message = "That is all they may do."
  }
}

run "servers_run_by_the_provider_of_their_group" {
  command = plan

  assert {
    condition     = keys(local.capacity_providers) == ["demo-consul"]
    error_message = "With the cluster's default strategy ECS would look for room on the hosts of other providers."
  }
}

run "leaves_before_it_goes" {
  command = plan

  assert {
    condition     = jsondecode(local.server.environment[0].value).leave_on_terminate && jsondecode(local.server.environment[0].value).autopilot.cleanup_dead_servers && local.server.stopTimeout == 120
    error_message = "A server that drains must leave raft in peace."
  }
}

run "healthy_means_a_leader" {
  command = plan

  assert {
    condition     = strcontains(local.server.healthCheck.command[1], "/v1/status/leader")
    error_message = "ECS must wait for raft before it stops the next server."
  }
}

run "data_on_the_host" {
  command = plan

  assert {
    condition     = one(local.server.mountPoints).sourceVolume == "data" && one(local.server.mountPoints).containerPath == "/consul/data"
    error_message = "A restart on the same host must keep the data."
  }
}

run "secrets_stay_secret" {
  command = plan

  assert {
    condition     = !strcontains(jsonencode(local.server.environment), "encrypt") && local.server.secrets == [{ name = "GOSSIP_KEY", valueFrom = "arn:aws:secretsmanager:us-east-1:123456789012:secret:gossip-a1b2c3" }]
    error_message = "The gossip key comes from Secrets Manager, not from the task definition."
  }
  assert {
    condition     = one([for statement in jsondecode(aws_iam_role_policy.execution.policy).Statement : statement.Resource if statement.Sid == "Secrets"]) == ["arn:aws:secretsmanager:us-east-1:123456789012:secret:gossip-a1b2c3"]
    error_message = "Only its own secrets."
  }
}

run "tls_when_given" {
  command = plan

  variables {
    tls = {
      ca_secret_arn   = "arn:aws:secretsmanager:us-east-1:123456789012:secret:ca-a1b2c3"
      cert_secret_arn = "arn:aws:secretsmanager:us-east-1:123456789012:secret:cert-a1b2c3"
      key_secret_arn  = "arn:aws:secretsmanager:us-east-1:123456789012:secret:key-a1b2c3"
    }
  }

  assert {
    condition     = jsondecode(local.server.environment[0].value).tls.internal_rpc.verify_server_hostname && length(local.server.secrets) == 4
    error_message = "Servers must check each other."
  }
  assert {
    condition     = strcontains(local.server.command[0], "printf '%s' \"$TLS_KEY\" > /consul/config/key.pem")
    error_message = "Consul reads files."
  }
}

run "dev_keeps_nothing" {
  command = plan

  variables {
    mode                  = "dev"
    gossip_key_secret_arn = null
  }

  assert {
    condition     = output.deployment == { servers = 1, minimum_healthy_percent = 0, maximum_percent = 100 } && length(local.server.mountPoints) == 0 && strcontains(local.server.command[0], "agent -dev")
    error_message = "One server without data."
  }
}

run "clients_outside_the_servers_group" {
  command = plan

  variables {
    clients = true
  }

  assert {
    condition     = length(module.clients) == 1
    error_message = "A daemon of client agents."
  }
}

run "tagged_with_the_environment" {
  command = plan

  assert {
    condition     = alltrue([for resource in [aws_cloudwatch_log_group.this, aws_iam_role.task, aws_iam_role.execution] : resource.tags.Environment == "test"])
    error_message = "The Environment tag on everything."
  }
}

run "refuses_an_even_number" {
  command = plan

  variables {
    servers = 4
  }

  expect_failures = [var.servers]
}

run "refuses_servers_without_gossip_key" {
  command = plan

  variables {
    gossip_key_secret_arn = null
  }

  expect_failures = [var.gossip_key_secret_arn]
}

run "refuses_latest" {
  command = plan

  variables {
    image = "hashicorp/consul:latest"
  }

  expect_failures = [var.image]
}
