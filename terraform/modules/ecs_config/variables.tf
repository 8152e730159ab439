variable "cluster_name" {
  description = "Cluster that the host registers with."
  type        = string

  validation {
    condition     = can(regex("^[a-zA-Z0-9_-]{1,255}$", var.cluster_name))
    error_message = "cluster_name has 1 to 255 letters, digits, _ and -."
  }
}

variable "registry_credentials" {
  description = "A private S3 object whose lines (`ECS_ENGINE_AUTH_TYPE=`, `ECS_ENGINE_AUTH_DATA=`) are added at boot; null for none. `kms_key_arn` if a key of one's own encrypts it."
  type = object({
    bucket      = string
    key         = string
    kms_key_arn = optional(string)
  })
  default = null

  validation {
    condition     = var.registry_credentials == null || can(regex("^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", var.registry_credentials.bucket))
    error_message = "registry_credentials.bucket must be the name of an S3 bucket: 3 to 63 lower-case letters, digits, . and -."
  }

  validation {
    # The key goes into a shell command and into the ARN of a policy, where * and ? would widen it.
    condition     = var.registry_credentials == null || can(regex("^[a-zA-Z0-9][a-zA-Z0-9/._-]*$", var.registry_credentials.key))
    error_message = "registry_credentials.key has letters, digits, /, ., _ and -, and does not begin with /."
  }

  validation {
    condition     = var.registry_credentials == null || try(var.registry_credentials.kms_key_arn, null) == null || can(regex("^arn:[^:]+:kms:[^:]+:[0-9]{12}:key/", var.registry_credentials.kms_key_arn))
    error_message = "registry_credentials.kms_key_arn must be the ARN of a KMS key (not of an alias: policies need the key)."
  }
}

variable "agent" {
  description = "Options of the ECS agent. What is null is left to the agent. `extra` takes any other ECS_ variable, and the proxy ones."
  type = object({
    available_logging_drivers    = optional(list(string), ["json-file", "awslogs"])
    instance_attributes          = optional(map(string), {})
    awsvpc_block_imds            = optional(bool, true)
    container_start_timeout      = optional(string)
    container_stop_timeout       = optional(string, "30s")
    disable_privileged           = optional(bool)
    enable_container_metadata    = optional(bool)
    enable_gpu_support           = optional(bool)
    enable_spot_draining         = optional(bool)
    engine_task_cleanup_wait     = optional(string)
    image_cleanup_interval       = optional(string)
    image_minimum_cleanup_age    = optional(string)
    image_pull_behavior          = optional(string, "default")
    log_level                    = optional(string, "info")
    num_images_deleted_per_cycle = optional(number)
    reserved_memory              = optional(number)
    warm_pools_check             = optional(bool)
    extra                        = optional(map(string), {})
  })
  default  = {}
  nullable = false

  validation {
    condition = length(setsubtract(var.agent.available_logging_drivers, [
      "awsfirelens", "awslogs", "fluentd", "gelf", "journald", "json-file", "none", "splunk", "syslog",
    ])) == 0
    error_message = "agent.available_logging_drivers takes awsfirelens, awslogs, fluentd, gelf, journald, json-file, none, splunk and syslog."
  }

  validation {
    condition = alltrue([for name, value in var.agent.instance_attributes :
      can(regex("^[A-Za-z0-9_./-]{1,128}$", name)) && can(regex("^[A-Za-z0-9_./@:-]{1,128}$", value))
    ])
    error_message = "agent.instance_attributes: a name has 1 to 128 letters, digits and _ . / -, a value also @ and :."
  }

  validation {
    condition     = alltrue([for name in keys(var.agent.instance_attributes) : !can(regex("^(ecs|ecsroll|com\\.amazonaws)\\.", name))])
    error_message = "agent.instance_attributes: names that begin with ecs., ecsroll. or com.amazonaws. are reserved."
  }

  validation {
    # AWS allows ten on a container instance, and ecsroll marks hosts with up to two.
    condition     = length(var.agent.instance_attributes) <= 8
    error_message = "agent.instance_attributes: 8 at most; ECS allows 10 on a host, of which ecsroll needs 2."
  }

  validation {
    condition     = contains(["default", "always", "once", "prefer-cached"], var.agent.image_pull_behavior)
    error_message = "agent.image_pull_behavior must be default, always, once or prefer-cached."
  }

  validation {
    condition     = contains(["crit", "debug", "error", "info", "warn"], var.agent.log_level)
    error_message = "agent.log_level must be crit, error, warn, info or debug."
  }

  validation {
    condition = alltrue([for duration in [
      var.agent.container_start_timeout, var.agent.container_stop_timeout, var.agent.engine_task_cleanup_wait,
      var.agent.image_cleanup_interval, var.agent.image_minimum_cleanup_age,
    ] : duration == null || can(regex("^([0-9]+(ms|s|m|h))+$", duration))])
    error_message = "Durations of agent are like 30s, 10m or 1h30m."
  }

  validation {
    condition     = alltrue([for name in keys(var.agent.extra) : can(regex("^(ECS_[A-Z0-9_]+|HTTP_PROXY|HTTPS_PROXY|NO_PROXY)$", name))])
    error_message = "agent.extra takes ECS_ variables of the agent, HTTP_PROXY, HTTPS_PROXY and NO_PROXY."
  }

  validation {
    condition = length(setintersection(keys(var.agent.extra), [
      "ECS_AVAILABLE_LOGGING_DRIVERS", "ECS_AWSVPC_BLOCK_IMDS", "ECS_CLUSTER", "ECS_CONTAINER_START_TIMEOUT", "ECS_CONTAINER_STOP_TIMEOUT",
      "ECS_DISABLE_PRIVILEGED", "ECS_ENABLE_CONTAINER_METADATA", "ECS_ENABLE_GPU_SUPPORT", "ECS_ENABLE_SPOT_INSTANCE_DRAINING",
      "ECS_ENGINE_AUTH_DATA", "ECS_ENGINE_AUTH_TYPE", "ECS_ENGINE_TASK_CLEANUP_WAIT_DURATION", "ECS_IMAGE_CLEANUP_INTERVAL",
      "ECS_IMAGE_MINIMUM_CLEANUP_AGE", "ECS_IMAGE_PULL_BEHAVIOR", "ECS_INSTANCE_ATTRIBUTES", "ECS_LOGLEVEL",
      "ECS_NUM_IMAGES_DELETE_PER_CYCLE", "ECS_RESERVED_MEMORY", "ECS_WARM_POOLS_CHECK",
    ])) == 0
    error_message = "agent.extra must not repeat what has a field of its own; credentials come from registry_credentials only, because user data is no place for them."
  }

  validation {
    condition     = alltrue([for value in values(var.agent.extra) : !can(regex("[\\r\\n]", value))])
    error_message = "agent.extra: a value is one line."
  }
}

variable "partition" {
  description = "AWS partition, for the ARN of the S3 object."
  type        = string
  default     = "aws"

  validation {
    condition     = contains(["aws", "aws-cn", "aws-us-gov"], var.partition)
    error_message = "partition must be aws, aws-cn or aws-us-gov."
  }
}

variable "bottlerocket" {
  description = "Whether the output `bottlerocket` is what will be used: options that Bottlerocket does not have are refused then."
  type        = bool
  default     = false
  nullable    = false
}
