# The agent reads /etc/ecs/ecs.config when it starts:
# https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs-agent-config.html

locals {
  settings = merge(
    {
      ECS_CLUSTER                           = var.cluster_name
      ECS_AVAILABLE_LOGGING_DRIVERS         = jsonencode(var.agent.available_logging_drivers)
      ECS_AWSVPC_BLOCK_IMDS                 = var.agent.awsvpc_block_imds
      ECS_CONTAINER_START_TIMEOUT           = var.agent.container_start_timeout
      ECS_CONTAINER_STOP_TIMEOUT            = var.agent.container_stop_timeout
      ECS_DISABLE_PRIVILEGED                = var.agent.disable_privileged
      ECS_ENABLE_CONTAINER_METADATA         = var.agent.enable_container_metadata
      ECS_ENABLE_GPU_SUPPORT                = var.agent.enable_gpu_support
      ECS_ENABLE_SPOT_INSTANCE_DRAINING     = var.agent.enable_spot_draining
      ECS_ENGINE_TASK_CLEANUP_WAIT_DURATION = var.agent.engine_task_cleanup_wait
      ECS_IMAGE_CLEANUP_INTERVAL            = var.agent.image_cleanup_interval
      ECS_IMAGE_MINIMUM_CLEANUP_AGE         = var.agent.image_minimum_cleanup_age
      ECS_IMAGE_PULL_BEHAVIOR               = var.agent.image_pull_behavior
      ECS_INSTANCE_ATTRIBUTES               = length(var.agent.instance_attributes) > 0 ? jsonencode(var.agent.instance_attributes) : null
      ECS_LOGLEVEL                          = var.agent.log_level
      ECS_NUM_IMAGES_DELETE_PER_CYCLE       = var.agent.num_images_deleted_per_cycle
      ECS_RESERVED_MEMORY                   = var.agent.reserved_memory
      ECS_WARM_POOLS_CHECK                  = var.agent.warm_pools_check
    },
    var.agent.extra,
  )

  ecs_config = join("\n", [for name, value in local.settings : "${name}=${value}" if value != null])

  script = templatefile("${path.module}/ecs_config.sh.tftpl", {
    ecs_config = local.ecs_config
    bucket     = try(var.registry_credentials.bucket, "")
    key        = try(var.registry_credentials.key, "")
  })

  # Bottlerocket has no shell to run a script with; it takes settings. Null is left out.
  # https://bottlerocket.dev/en/os/latest/#/api/settings/ecs/
  bottlerocket_settings = {
    cluster                         = jsonencode(var.cluster_name)
    "logging-drivers"               = jsonencode(var.agent.available_logging_drivers)
    "awsvpc-block-imds"             = var.agent.awsvpc_block_imds
    "allow-privileged-containers"   = var.agent.disable_privileged == null ? null : !var.agent.disable_privileged
    "container-stop-timeout"        = var.agent.container_stop_timeout == null ? null : jsonencode(var.agent.container_stop_timeout)
    "enable-spot-instance-draining" = var.agent.enable_spot_draining
    "image-pull-behavior"           = jsonencode(var.agent.image_pull_behavior)
    loglevel                        = jsonencode(var.agent.log_level)
    "reserved-memory"               = var.agent.reserved_memory
  }

  bottlerocket = join("\n", concat(
    ["[settings.ecs]"],
    [for name, value in local.bottlerocket_settings : "${name} = ${value}" if value != null],
    length(var.agent.instance_attributes) == 0 ? [] : ["", "[settings.ecs.instance-attributes]"],
    [for name, value in var.agent.instance_attributes : "${jsonencode(name)} = ${jsonencode(value)}"],
    [""],
  ))

  # Options that Bottlerocket has no setting for; whoever takes the output bottlerocket refuses them.
  not_for_bottlerocket = compact([
    var.registry_credentials != null ? "registry_credentials" : "",
    length(var.agent.extra) > 0 ? "agent.extra" : "",
    var.agent.container_start_timeout != null ? "agent.container_start_timeout" : "",
    var.agent.enable_container_metadata != null ? "agent.enable_container_metadata" : "",
    var.agent.engine_task_cleanup_wait != null ? "agent.engine_task_cleanup_wait" : "",
    var.agent.image_cleanup_interval != null ? "agent.image_cleanup_interval" : "",
    var.agent.image_minimum_cleanup_age != null ? "agent.image_minimum_cleanup_age" : "",
    var.agent.num_images_deleted_per_cycle != null ? "agent.num_images_deleted_per_cycle" : "",
    coalesce(var.agent.warm_pools_check, false) ? "agent.warm_pools_check" : "",
  ])

  statements = var.registry_credentials == null ? [] : concat(
    [{
      Sid      = "ReadRegistryCredentials"
      Effect   = "Allow"
      Action   = ["s3:GetObject"]
      Resource = ["arn:${var.partition}:s3:::${var.registry_credentials.bucket}/${var.registry_credentials.key}"]
    }],
    var.registry_credentials.kms_key_arn == null ? [] : [{
      Sid      = "DecryptRegistryCredentials"
      Effect   = "Allow"
      Action   = ["kms:Decrypt"]
      Resource = [var.registry_credentials.kms_key_arn]
    }],
  )
}
