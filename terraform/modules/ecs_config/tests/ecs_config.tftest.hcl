variables {
  cluster_name = "demo"
}

run "names_the_cluster" {
  command = plan

  assert {
    condition     = contains(split("\n", output.ecs_config), "ECS_CLUSTER=demo")
    error_message = "The host must join the cluster."
  }
  assert {
    condition     = strcontains(output.script, "\nECS_CLUSTER=demo\n")
    error_message = "The script must write it."
  }
}

run "safe_defaults" {
  command = plan

  assert {
    condition     = contains(split("\n", output.ecs_config), "ECS_AWSVPC_BLOCK_IMDS=true")
    error_message = "Tasks with their own interface must not reach the host's credentials."
  }
  assert {
    condition     = contains(split("\n", output.ecs_config), "ECS_AVAILABLE_LOGGING_DRIVERS=[\"json-file\",\"awslogs\"]")
    error_message = "awslogs must be available."
  }
}

run "leaves_out_what_is_null" {
  command = plan

  assert {
    condition     = !strcontains(output.ecs_config, "ECS_RESERVED_MEMORY") && !strcontains(output.ecs_config, "null")
    error_message = "An option not given must not be written."
  }
}

run "typed_options_are_written" {
  command = plan

  variables {
    agent = {
      instance_attributes    = { "instance-group" = "general" }
      container_stop_timeout = "2m"
      image_pull_behavior    = "prefer-cached"
      reserved_memory        = 256
      warm_pools_check       = true
      enable_spot_draining   = true
      extra                  = { ECS_POLL_METRICS = "true" }
    }
  }

  assert {
    condition = length(setsubtract([
      "ECS_INSTANCE_ATTRIBUTES={\"instance-group\":\"general\"}", "ECS_CONTAINER_STOP_TIMEOUT=2m", "ECS_IMAGE_PULL_BEHAVIOR=prefer-cached",
      "ECS_RESERVED_MEMORY=256", "ECS_WARM_POOLS_CHECK=true", "ECS_ENABLE_SPOT_INSTANCE_DRAINING=true", "ECS_POLL_METRICS=true",
    ], split("\n", output.ecs_config))) == 0
    error_message = "Every option given must be a line of ecs.config."
  }
}

run "no_credentials_no_statement" {
  command = plan

  assert {
    condition     = output.policy == null && length(output.statements) == 0 && !strcontains(output.script, "aws s3")
    error_message = "Without registry credentials nothing is fetched or allowed."
  }
}

run "may_read_just_that_object" {
  command = plan

  variables {
    registry_credentials = { bucket = "demo-config", key = "ecs/ecs.config" }
  }

  assert {
    condition     = jsondecode(output.policy).Statement == [{ Sid = "ReadRegistryCredentials", Effect = "Allow", Action = ["s3:GetObject"], Resource = ["arn:aws:s3:::demo-config/ecs/ecs.config"] }]
    error_message = "One action on one object."
  }
  assert {
    condition     = strcontains(output.script, "s3://demo-config/ecs/ecs.config")
    error_message = "The script must fetch it."
  }
}

run "own_key_may_decrypt_only" {
  command = plan

  variables {
    registry_credentials = { bucket = "demo-config", key = "ecs.config", kms_key_arn = "arn:aws:kms:eu-central-1:123456789012:key/0a1b" }
  }

  assert {
    condition     = jsondecode(output.policy).Statement[1].Action == ["kms:Decrypt"] && jsondecode(output.policy).Statement[1].Resource == ["arn:aws:kms:eu-central-1:123456789012:key/0a1b"]
    error_message = "Decrypting with that key, nothing else."
  }
}

run "bottlerocket_settings" {
  command = plan

  variables {
    bottlerocket = true
    agent        = { instance_attributes = { "instance-group" = "general" }, enable_spot_draining = true }
  }

  assert {
    condition     = strcontains(output.bottlerocket, "[settings.ecs]\n") && strcontains(output.bottlerocket, "\ncluster = \"demo\"\n") && strcontains(output.bottlerocket, "\nenable-spot-instance-draining = true\n")
    error_message = "Cluster and options must be settings."
  }
  assert {
    condition     = strcontains(output.bottlerocket, "[settings.ecs.instance-attributes]\n\"instance-group\" = \"general\"\n")
    error_message = "Attributes must be settings."
  }
}

run "refuses_what_bottlerocket_lacks" {
  command = plan

  variables {
    bottlerocket         = true
    registry_credentials = { bucket = "demo-config", key = "ecs.config" }
  }

  expect_failures = [output.bottlerocket]
}

run "refuses_reserved_attribute" {
  command = plan

  variables {
    agent = { instance_attributes = { "ecsroll.outdated" = "yes" } }
  }

  expect_failures = [var.agent]
}

run "refuses_credentials_in_user_data" {
  command = plan

  variables {
    agent = { extra = { ECS_ENGINE_AUTH_DATA = "{}" } }
  }

  expect_failures = [var.agent]
}

run "refuses_a_value_of_two_lines" {
  command = plan

  variables {
    agent = { extra = { ECS_POLL_METRICS = "true\nECS_CLUSTER=other" } }
  }

  expect_failures = [var.agent]
}

run "refuses_unknown_pull_behavior" {
  command = plan

  variables {
    agent = { image_pull_behavior = "never" }
  }

  expect_failures = [var.agent]
}

run "refuses_a_wildcard_key" {
  command = plan

  variables {
    registry_credentials = { bucket = "demo-config", key = "*" }
  }

  expect_failures = [var.registry_credentials]
}
