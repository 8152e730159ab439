module "ecs_config" {
  source = "../ecs_config"

  cluster_name         = var.cluster_name
  partition            = data.aws_partition.current.partition
  bottlerocket         = local.bottlerocket
  registry_credentials = var.registry_credentials

  agent = merge(var.agent, {
    instance_attributes  = merge(var.agent.instance_attributes, { "instance-group" = var.name })
    enable_gpu_support   = var.ami.family == "al2023-gpu" ? true : var.agent.enable_gpu_support
    enable_spot_draining = var.spot != null ? true : var.agent.enable_spot_draining

    # Without it the agent registers a host when it enters the pool, and ECS places tasks on a host that is about to stop.
    warm_pools_check = var.warm_pool != null ? true : var.agent.warm_pools_check
  })
}

locals {
  shell_user_data = join("\n", concat(
    ["#!/bin/bash"],
    [module.ecs_config.script],
    var.session_access ? [local.session_script] : [],
    var.logs == null ? [] : [var.logs.script],
    [var.extra_user_data],
  ))

  session_script = <<-EOT
    # ---- SSM session access ----
    # The ECS-optimized image has the agent; an image of one's own may not. A host without it still serves.
    command -v amazon-ssm-agent > /dev/null || dnf install --quiet --assumeyes amazon-ssm-agent || echo "no SSM agent" >&2
    systemctl enable --now amazon-ssm-agent || echo "no SSM session access" >&2
  EOT

  user_data = local.bottlerocket ? join("\n", [module.ecs_config.bottlerocket, var.extra_user_data]) : local.shell_user_data

  # Bottlerocket keeps images and containers on a second disk; its first is the read-only system.
  disks = local.bottlerocket ? {
    "/dev/xvda" = { size_gb = null }
    "/dev/xvdb" = { size_gb = var.disk.size_gb }
    } : {
    "/dev/xvda" = { size_gb = var.disk.size_gb }
  }
}

resource "aws_launch_template" "this" {
  # checkov:skip=CKV_AWS_341:a limit of 2 must be asked for, and its variable says what it opens
  name_prefix            = "${var.name}-"
  description            = "Hosts of the group ${var.name}"
  image_id               = "resolve:ssm:${aws_ssm_parameter.image.name}"
  instance_type          = local.mixed ? null : var.instance_types[0]
  vpc_security_group_ids = [aws_security_group.this.id]
  user_data              = base64encode(local.user_data)
  update_default_version = true
  tags                   = local.tags

  iam_instance_profile {
    arn = aws_iam_instance_profile.this.arn
  }

  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = var.imds_hop_limit
    instance_metadata_tags      = "disabled"
  }

  dynamic "block_device_mappings" {
    for_each = local.disks

    content {
      device_name = block_device_mappings.key

      ebs {
        volume_type           = "gp3"
        volume_size           = block_device_mappings.value.size_gb
        iops                  = block_device_mappings.value.size_gb == null ? null : var.disk.iops
        throughput            = block_device_mappings.value.size_gb == null ? null : var.disk.throughput
        encrypted             = true
        kms_key_id            = var.disk.kms_key_arn
        delete_on_termination = true
      }
    }
  }

  monitoring {
    enabled = true
  }

  dynamic "tag_specifications" {
    for_each = toset(["instance", "volume", "network-interface"])

    content {
      resource_type = tag_specifications.value
      tags          = local.host_tags
    }
  }

  lifecycle {
    create_before_destroy = true

    precondition {
      # base64 of 16 KB is what EC2 takes.
      condition     = length(local.user_data) <= 16384
      error_message = "User data must not be longer than 16 KB; move something out of extra_user_data."
    }
  }
}
