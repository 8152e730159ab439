# Planned only: table and key refuse to be destroyed, by the end of a test too.
mock_provider "aws" {
  source          = "./tests/mocks"
  override_during = plan
}

variables {
  environment        = "test"
  cluster_arn        = "arn:aws:ecs:us-east-1:123456789012:cluster/demo"
  image              = "hashicorp/vault:1.20.2"
  subnet_ids         = ["subnet-0123456789abcdef0"]
  security_group_ids = ["sg-0123456789abcdef0"]
  tls = {
    cert_secret_arn = "arn:aws:secretsmanager:us-east-1:123456789012:secret:cert-a1b2c3"
    key_secret_arn  = "arn:aws:secretsmanager:us-east-1:123456789012:secret:key-a1b2c3"
  }
}

run "one_node_at_a_time" {
  command = plan

  assert {
    condition     = output.deployment == { nodes = 2, minimum_healthy_percent = 50, maximum_percent = 100 }
    error_message = "One of two may go."
  }
}

run "storage_needs_no_disk" {
  command = plan

  assert {
    condition     = jsondecode(local.container.environment[0].value).storage.dynamodb.ha_enabled == "true" && aws_dynamodb_table.this.hash_key == "Path" && aws_dynamodb_table.this.range_key == "Key"
    error_message = "DynamoDB with a lock, in the layout that Vault knows."
  }
  assert {
    condition     = !can(local.container.mountPoints)
    error_message = "Nothing stays on a host."
  }
}

run "storage_is_kept" {
  command = plan

  assert {
    condition     = aws_dynamodb_table.this.deletion_protection_enabled && aws_dynamodb_table.this.point_in_time_recovery[0].enabled
    error_message = "Deletion protected, recoverable."
  }
  assert {
    condition     = aws_kms_key.seal.enable_key_rotation && aws_kms_key.seal.deletion_window_in_days == 30
    error_message = "The key must rotate and be slow to delete."
  }
}

run "unseals_itself" {
  command = plan

  assert {
    condition     = jsondecode(local.container.environment[0].value).seal.awskms.kms_key_id == aws_kms_key.seal.key_id
    error_message = "A node that moves must not wait for people with key shares."
  }
}

run "may_use_its_table_and_key_only" {
  command = plan

  assert {
    condition     = [for statement in jsondecode(aws_iam_role_policy.task.policy).Statement : statement.Resource] == [[aws_dynamodb_table.this.arn], [aws_kms_key.seal.arn]]
    error_message = "That table, that key."
  }
}

run "tls_at_the_task" {
  command = plan

  assert {
    condition     = jsondecode(local.container.environment[0].value).listener.tcp.tls_disable == false && length(local.container.secrets) == 2 && strcontains(local.container.command[0], "VAULT_API_ADDR=https://")
    error_message = "HTTPS with the certificate from Secrets Manager."
  }
}

run "plain_http_must_be_asked_for" {
  command = plan

  variables {
    tls        = null
    plain_http = true
  }

  assert {
    condition     = jsondecode(local.container.environment[0].value).listener.tcp.tls_disable && length(local.container.secrets) == 0
    error_message = "No TLS, no secrets."
  }
}

run "steps_down_before_it_goes" {
  command = plan

  assert {
    condition     = local.container.stopTimeout >= 60
    error_message = "The active node needs time to give up its lock."
  }
}

run "uninitialised_is_healthy" {
  command = plan

  assert {
    condition     = output.health_path == "/v1/sys/health?standbyok=true&uninitcode=200" && strcontains(local.container.healthCheck.command[1], output.health_path)
    error_message = "Else ECS stops it before anybody can initialise it."
  }
}

run "memory_stays_in_memory" {
  command = plan

  assert {
    condition     = local.container.linuxParameters.capabilities.add[0] == "IPC_LOCK"
    error_message = "Vault locks its memory."
  }
}

run "tagged_with_the_environment" {
  command = plan

  assert {
    condition     = alltrue([for resource in [aws_dynamodb_table.this, aws_kms_key.seal, aws_cloudwatch_log_group.this, aws_iam_role.task, aws_iam_role.execution] : resource.tags.Environment == "test"])
    error_message = "The Environment tag on everything."
  }
}

run "refuses_no_tls_by_accident" {
  command = plan

  variables {
    tls = null
  }

  expect_failures = [var.tls]
}

run "refuses_one_node" {
  command = plan

  variables {
    nodes = 1
  }

  expect_failures = [var.nodes]
}

run "refuses_latest" {
  command = plan

  variables {
    image = "hashicorp/vault:latest"
  }

  expect_failures = [var.image]
}
