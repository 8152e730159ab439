mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  name         = "demo-general"
  cluster_name = "demo"
  environment  = "test"
  vpc_id       = "vpc-0123456789abcdef0"
  subnet_ids   = ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"]
}

# ------------------------------------------------------------------- image --

run "image_is_the_groups_own_parameter" {
  command = plan

  assert {
    condition     = aws_launch_template.this.image_id == "resolve:ssm:/ecs-image/demo/demo-general"
    error_message = "The launch template must point at the group's parameter."
  }
  assert {
    condition     = aws_ssm_parameter.image.tags["ecsroll:group"] == "demo-general" && aws_ssm_parameter.image.tags["ecsroll:group"] == aws_autoscaling_group.this.name
    error_message = "ecsroll knows its parameter by the tag ecsroll:group with the group's name."
  }
  assert {
    condition     = aws_ssm_parameter.image.data_type == "aws:ec2:image" && aws_ssm_parameter.image.type == "String"
    error_message = "resolve:ssm needs a String of type aws:ec2:image."
  }
  assert {
    condition     = data.aws_ssm_parameter.recommended[0].name == "/aws/service/ecs/optimized-ami/amazon-linux-2023/recommended/image_id"
    error_message = "The first image is what AWS recommends for the family."
  }
}

run "a_roll_is_no_drift_before" {
  variables {
    ami = { first_image_id = "ami-0aaaaaaaaaaaaaaaa" }
  }

  assert {
    condition     = aws_ssm_parameter.image.value == "ami-0aaaaaaaaaaaaaaaa"
    error_message = "The first image must be the one given."
  }
}

run "a_roll_is_no_drift" {
  # The state holds another image than the configuration asks for, as after a roll.
  variables {
    ami = { first_image_id = "ami-0bbbbbbbbbbbbbbbb" }
  }

  assert {
    condition     = aws_ssm_parameter.image.value == "ami-0aaaaaaaaaaaaaaaa"
    error_message = "Terraform must leave the image to ecsroll."
  }
}

run "image_family_arm64" {
  command = plan

  variables {
    ami            = { family = "al2023-arm64" }
    instance_types = ["m7g.large"]
  }

  assert {
    condition     = data.aws_ssm_parameter.recommended[0].name == "/aws/service/ecs/optimized-ami/amazon-linux-2023/arm64/recommended/image_id"
    error_message = "The family's own image."
  }
}

run "image_family_gpu" {
  command = plan

  variables {
    ami            = { family = "al2023-gpu" }
    instance_types = ["g5.xlarge"]
  }

  assert {
    condition     = strcontains(output.user_data, "ECS_ENABLE_GPU_SUPPORT=true") && endswith(data.aws_ssm_parameter.recommended[0].name, "/amazon-linux-2023/gpu/recommended/image_id")
    error_message = "The GPU image, and an agent that knows of GPUs."
  }
}

run "image_family_neuron" {
  command = plan

  variables {
    ami            = { family = "al2023-neuron" }
    instance_types = ["inf2.xlarge"]
  }

  assert {
    condition     = endswith(data.aws_ssm_parameter.recommended[0].name, "/amazon-linux-2023/neuron/recommended/image_id")
    error_message = "The Neuron image."
  }
}

run "image_family_bottlerocket" {
  command = plan

  variables {
    ami  = { family = "bottlerocket" }
    disk = { size_gb = 100 }
  }

  assert {
    condition     = data.aws_ssm_parameter.recommended[0].name == "/aws/service/bottlerocket/aws-ecs-2/x86_64/latest/image_id"
    error_message = "Bottlerocket's image."
  }
  assert {
    condition     = startswith(output.user_data, "[settings.ecs]\n") && strcontains(output.user_data, "cluster = \"demo\"")
    error_message = "Bottlerocket takes settings, no script."
  }
  assert {
    condition     = toset([for disk in aws_launch_template.this.block_device_mappings : disk.device_name]) == toset(["/dev/xvda", "/dev/xvdb"])
    error_message = "Its second disk holds the images."
  }
  assert {
    condition     = alltrue([for disk in aws_launch_template.this.block_device_mappings : disk.ebs[0].encrypted == "true"])
    error_message = "Both disks must be encrypted."
  }
}

run "refuses_graviton_with_an_x86_image" {
  command = plan

  variables {
    instance_types = ["m7i.large", "m7g.large"]
  }

  expect_failures = [var.instance_types]
}

run "refuses_x86_with_an_arm64_image" {
  command = plan

  variables {
    ami            = { family = "al2023-arm64" }
    instance_types = ["m7i.large"]
  }

  expect_failures = [var.instance_types]
}

run "refuses_gpu_image_without_gpus" {
  command = plan

  variables {
    ami = { family = "al2023-gpu" }
  }

  expect_failures = [var.instance_types]
}

run "refuses_neuron_image_without_neuron" {
  command = plan

  variables {
    ami = { family = "al2023-neuron" }
  }

  expect_failures = [var.instance_types]
}

run "refuses_unknown_family" {
  command = plan

  variables {
    ami = { family = "windows" }
  }

  expect_failures = [var.ami]
}

run "refuses_what_is_no_image" {
  command = plan

  variables {
    ami = { first_image_id = "latest" }
  }

  expect_failures = [var.ami]
}

# --------------------------------------------------------- launch template --

run "imdsv2_required" {
  command = plan

  assert {
    condition     = aws_launch_template.this.metadata_options[0].http_tokens == "required" && aws_launch_template.this.metadata_options[0].http_put_response_hop_limit == 1
    error_message = "IMDSv2 only, and not from containers."
  }
}

run "hop_limit_must_be_asked_for" {
  command = plan

  variables {
    imds_hop_limit = 2
  }

  assert {
    condition     = aws_launch_template.this.metadata_options[0].http_put_response_hop_limit == 2 && aws_launch_template.this.metadata_options[0].http_tokens == "required"
    error_message = "Two hops, still IMDSv2."
  }
}

run "disk_is_encrypted_gp3" {
  command = plan

  assert {
    condition     = aws_launch_template.this.block_device_mappings[0].ebs[0].encrypted == "true" && aws_launch_template.this.block_device_mappings[0].ebs[0].volume_type == "gp3" && aws_launch_template.this.block_device_mappings[0].device_name == "/dev/xvda"
    error_message = "The root disk must be an encrypted gp3."
  }
}

run "no_ssh" {
  command = plan

  assert {
    condition     = aws_launch_template.this.key_name == null && length(aws_vpc_security_group_ingress_rule.this) == 0
    error_message = "No key pair, and no way in by default."
  }
}

run "session_access_through_ssm" {
  command = plan

  assert {
    condition     = aws_iam_role_policy_attachment.session[0].policy_arn == "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"
    error_message = "The role must let Session Manager in."
  }
  assert {
    condition     = strcontains(output.user_data, "systemctl enable --now amazon-ssm-agent")
    error_message = "The SSM agent must run."
  }
}

run "session_access_can_be_left_out" {
  command = plan

  variables {
    session_access = false
  }

  assert {
    condition     = length(aws_iam_role_policy_attachment.session) == 0 && !strcontains(output.user_data, "amazon-ssm-agent")
    error_message = "Neither the policy nor the agent."
  }
}

run "joins_its_cluster_as_its_group" {
  command = plan

  assert {
    condition     = strcontains(output.user_data, "\nECS_CLUSTER=demo\n") && strcontains(output.user_data, "ECS_INSTANCE_ATTRIBUTES={\"instance-group\":\"demo-general\"}")
    error_message = "The host must join the cluster and say which group it is of."
  }
  assert {
    condition     = base64decode(aws_launch_template.this.user_data) == output.user_data && startswith(output.user_data, "#!/bin/bash\n")
    error_message = "The launch template must carry the script."
  }
}

run "ecs_config_reaches_the_host" {
  command = plan

  variables {
    agent                = { reserved_memory = 256 }
    registry_credentials = { bucket = "demo-config", key = "ecs.config" }
  }

  assert {
    condition     = strcontains(output.user_data, "\nECS_RESERVED_MEMORY=256\n") && strcontains(output.user_data, "s3://demo-config/ecs.config")
    error_message = "Options and credentials must be in user data."
  }
  assert {
    condition     = jsondecode(aws_iam_role_policy.this["registry-credentials"].policy).Statement[0].Resource == ["arn:aws:s3:::demo-config/ecs.config"]
    error_message = "The role must read that object."
  }
}

run "host_logs_reach_the_host" {
  command = plan

  variables {
    logs = { script = "echo logs-here", policy = "{\"Version\":\"2012-10-17\",\"Statement\":[]}" }
  }

  assert {
    condition     = strcontains(output.user_data, "echo logs-here") && contains(keys(aws_iam_role_policy.this), "host-logs")
    error_message = "Script and policy of ecs_logs."
  }
}

run "refuses_logs_on_bottlerocket" {
  command = plan

  variables {
    ami  = { family = "bottlerocket" }
    logs = { script = "echo", policy = "{}" }
  }

  expect_failures = [var.logs]
}

run "refuses_too_much_user_data" {
  command = plan

  variables {
    extra_user_data = join("\n", [for i in range(1000) : "echo this is line number ${i}"])
  }

  expect_failures = [aws_launch_template.this]
}

# ------------------------------------------------------------------- group --

run "group_is_named_by_the_variable" {
  command = plan

  assert {
    condition     = aws_autoscaling_group.this.name == "demo-general" && aws_ecs_capacity_provider.this.name == "demo-general"
    error_message = "One name for group and capacity provider."
  }
}

run "launch_template_by_number" {
  assert {
    condition     = aws_autoscaling_group.this.launch_template[0].version == tostring(aws_launch_template.this.latest_version)
    error_message = "A number, not $Latest: the group must show that its template changed."
  }
}

run "bounds_are_terraforms" {
  command = plan

  variables {
    size = { min = 2, max = 6 }
  }

  assert {
    condition     = aws_autoscaling_group.this.min_size == 2 && aws_autoscaling_group.this.max_size == 6
    error_message = "The bounds given."
  }
}

run "managed_by_default" {
  command = plan

  assert {
    condition = (
      aws_ecs_capacity_provider.this.auto_scaling_group_provider[0].managed_draining == "ENABLED"
      && aws_ecs_capacity_provider.this.auto_scaling_group_provider[0].managed_termination_protection == "DISABLED"
      && aws_ecs_capacity_provider.this.auto_scaling_group_provider[0].managed_scaling[0].status == "ENABLED"
      && aws_ecs_capacity_provider.this.auto_scaling_group_provider[0].managed_scaling[0].target_capacity == 100
    )
    error_message = "ECS scales and drains; it does not protect unless asked."
  }
  assert {
    condition     = contains([for tag in aws_autoscaling_group.this.tag : tag.key if tag.propagate_at_launch], "AmazonECSManaged")
    error_message = "Without AmazonECSManaged ECS adds it by itself: drift."
  }
}

run "capacity_provider_of_this_group" {
  assert {
    condition     = aws_ecs_capacity_provider.this.auto_scaling_group_provider[0].auto_scaling_group_arn == aws_autoscaling_group.this.arn
    error_message = "Wrong group."
  }
}

run "termination_protection_protects_from_birth" {
  command = plan

  variables {
    managed_termination_protection = true
  }

  assert {
    condition     = aws_autoscaling_group.this.protect_from_scale_in && aws_ecs_capacity_provider.this.auto_scaling_group_provider[0].managed_termination_protection == "ENABLED"
    error_message = "AWS refuses managed termination protection on a group whose hosts are not born protected."
  }
}

run "refuses_termination_protection_without_scaling" {
  command = plan

  variables {
    managed_scaling                = null
    managed_termination_protection = true
  }

  expect_failures = [var.managed_termination_protection]
}

run "scaling_and_draining_can_be_left_out" {
  command = plan

  variables {
    managed_scaling  = null
    managed_draining = false
  }

  assert {
    condition     = aws_ecs_capacity_provider.this.auto_scaling_group_provider[0].managed_draining == "DISABLED" && aws_ecs_capacity_provider.this.auto_scaling_group_provider[0].managed_scaling[0].status == "DISABLED"
    error_message = "Both must be off."
  }
}

run "an_apply_replaces_no_host" {
  command = plan

  assert {
    condition     = length(aws_autoscaling_group.this.instance_refresh) == 0 && length(aws_autoscaling_group.this.warm_pool) == 0
    error_message = "No instance refresh unless asked for."
  }
}

run "instance_refresh_when_asked_for" {
  command = plan

  variables {
    replaced_by = "instance_refresh"
  }

  assert {
    condition = (
      aws_autoscaling_group.this.instance_refresh[0].preferences[0].scale_in_protected_instances == "Refresh"
      && aws_autoscaling_group.this.instance_refresh[0].preferences[0].min_healthy_percentage == 100
      && aws_autoscaling_group.this.instance_refresh[0].preferences[0].auto_rollback == false
    )
    error_message = "Launch first, take protected hosts too, and no rollback that AWS would refuse."
  }
}

run "refuses_instance_refresh_without_draining" {
  command = plan

  variables {
    replaced_by      = "instance_refresh"
    managed_draining = false
  }

  expect_failures = [var.replaced_by]
}

run "several_types_make_a_mixed_group" {
  command = plan

  variables {
    instance_types = ["m7i.large", "m6i.large"]
  }

  assert {
    condition     = [for override in aws_autoscaling_group.this.mixed_instances_policy[0].launch_template[0].override : override.instance_type] == ["m7i.large", "m6i.large"]
    error_message = "All types, in the order given."
  }
  assert {
    condition     = length(aws_autoscaling_group.this.launch_template) == 0 && aws_launch_template.this.instance_type == null
    error_message = "A group has a template or a policy, not both."
  }
  assert {
    condition     = aws_autoscaling_group.this.mixed_instances_policy[0].instances_distribution[0].on_demand_percentage_above_base_capacity == 100
    error_message = "No Spot unless asked for."
  }
}

run "spot_is_drained_before_it_goes" {
  command = plan

  variables {
    instance_types = ["m7i.large", "m6i.large"]
    spot           = { on_demand_base = 2 }
  }

  assert {
    condition = (
      aws_autoscaling_group.this.mixed_instances_policy[0].instances_distribution[0].on_demand_base_capacity == 2
      && aws_autoscaling_group.this.mixed_instances_policy[0].instances_distribution[0].on_demand_percentage_above_base_capacity == 0
      && aws_autoscaling_group.this.mixed_instances_policy[0].instances_distribution[0].spot_allocation_strategy == "price-capacity-optimized"
    )
    error_message = "Two On-Demand, the others Spot."
  }
  assert {
    condition     = aws_autoscaling_group.this.capacity_rebalance && strcontains(output.user_data, "ECS_ENABLE_SPOT_INSTANCE_DRAINING=true")
    error_message = "Auto Scaling must replace a host at risk, and the agent must drain it."
  }
}

run "warm_pool_waits_outside_the_cluster" {
  command = plan

  variables {
    warm_pool = { min_size = 1 }
  }

  assert {
    condition     = aws_autoscaling_group.this.warm_pool[0].pool_state == "Stopped" && aws_autoscaling_group.this.warm_pool[0].instance_reuse_policy[0].reuse_on_scale_in == false
    error_message = "A stopped pool; ECS hosts do not go back."
  }
  assert {
    condition     = strcontains(output.user_data, "ECS_WARM_POOLS_CHECK=true")
    error_message = "The agent must not register a host of the pool."
  }
}

run "refuses_warm_pool_with_spot" {
  command = plan

  variables {
    spot      = {}
    warm_pool = {}
  }

  expect_failures = [var.warm_pool]
}

run "lifecycle_hooks_of_ones_own" {
  variables {
    lifecycle_hooks = { flush = { on = "terminate", heartbeat_seconds = 120 } }
  }

  assert {
    condition = (
      aws_autoscaling_lifecycle_hook.this["flush"].lifecycle_transition == "autoscaling:EC2_INSTANCE_TERMINATING"
      && aws_autoscaling_lifecycle_hook.this["flush"].default_result == "CONTINUE"
      && aws_autoscaling_lifecycle_hook.this["flush"].autoscaling_group_name == "demo-general"
    )
    error_message = "The hook belongs to the group."
  }
}

run "refuses_the_hook_of_ecs" {
  command = plan

  variables {
    lifecycle_hooks = { ecs-managed-draining-termination-hook = { on = "terminate" } }
  }

  expect_failures = [var.lifecycle_hooks]
}

# ---------------------------------------------------------------- security --

run "hosts_are_reached_by_security_groups_only" {
  command = plan

  variables {
    ingress = { alb = { security_group_id = "sg-0123456789abcdef0" } }
  }

  assert {
    condition = (
      aws_vpc_security_group_ingress_rule.this["alb"].referenced_security_group_id == "sg-0123456789abcdef0"
      && aws_vpc_security_group_ingress_rule.this["alb"].cidr_ipv4 == null
      && aws_vpc_security_group_ingress_rule.this["alb"].from_port == 32768
    )
    error_message = "The balancer reaches dynamic ports; no addresses."
  }
}

run "no_exclusive_attachment" {
  command = plan

  assert {
    condition     = aws_iam_role_policy_attachment.ecs.policy_arn == "arn:aws:iam::aws:policy/service-role/AmazonEC2ContainerServiceforEC2Role"
    error_message = "The host's role must let the agent work."
  }
  assert {
    condition     = jsondecode(aws_iam_role.this.assume_role_policy).Statement[0].Principal.Service == "ec2.amazonaws.com"
    error_message = "Only EC2 takes the hosts' role."
  }
}

# ------------------------------------------------------------------- names --

run "tagged_with_the_environment" {
  command = plan

  assert {
    condition     = alltrue([for resource in [aws_launch_template.this, aws_iam_role.this, aws_iam_instance_profile.this, aws_security_group.this, aws_ssm_parameter.image, aws_ecs_capacity_provider.this] : resource.tags.Environment == "test" && resource.tags.Cluster == "demo" && resource.tags.InstanceGroup == "demo-general"])
    error_message = "Environment, Cluster and InstanceGroup on everything."
  }
  assert {
    condition     = length([for tag in aws_autoscaling_group.this.tag : tag if tag.key == "Environment" && tag.value == "test" && tag.propagate_at_launch]) == 1
    error_message = "The group and its hosts too."
  }
  assert {
    condition     = toset([for tags in aws_launch_template.this.tag_specifications : tags.resource_type if tags.tags.Environment == "test"]) == toset(["instance", "volume", "network-interface"])
    error_message = "Disks and interfaces too."
  }
}

run "default_tags_reach_the_hosts" {
  command = plan

  override_data {
    target = data.aws_default_tags.current
    values = { tags = { Owner = "platform" } }
  }

  assert {
    condition     = length([for tag in aws_autoscaling_group.this.tag : tag if tag.key == "Owner"]) == 1 && aws_launch_template.this.tag_specifications[0].tags.Owner == "platform"
    error_message = "The provider's default_tags do not reach hosts by themselves."
  }
}

run "refuses_reserved_name" {
  command = plan

  variables {
    name = "ecs-nodes"
  }

  expect_failures = [var.name]
}

run "refuses_min_above_max" {
  command = plan

  variables {
    size = { min = 5, max = 4 }
  }

  expect_failures = [var.size]
}

run "refuses_unknown_replacer" {
  command = plan

  variables {
    replaced_by = "terraform"
  }

  expect_failures = [var.replaced_by]
}

run "in_china_hosts_have_chinas_names" {
  command = plan

  override_data {
    target = data.aws_partition.current
    values = { partition = "aws-cn", dns_suffix = "amazonaws.com.cn" }
  }

  assert {
    condition     = jsondecode(aws_iam_role.this.assume_role_policy).Statement[0].Principal.Service == "ec2.amazonaws.com.cn"
    error_message = "EC2 takes the role under its name of that partition."
  }
  assert {
    condition     = aws_iam_role_policy_attachment.ecs.policy_arn == "arn:aws-cn:iam::aws:policy/service-role/AmazonEC2ContainerServiceforEC2Role"
    error_message = "AWS's policies are those of the partition."
  }
}
