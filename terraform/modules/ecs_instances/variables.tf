variable "name" {
  description = "Name of the group, of its capacity provider and of its image parameter. Both names are unique in an account's region, so let it hold the cluster: prod-general."
  type        = string

  validation {
    condition     = can(regex("^[a-zA-Z0-9][a-zA-Z0-9_-]{0,99}$", var.name))
    error_message = "name has 1 to 100 letters, digits, _ and -, and begins with a letter or a digit."
  }

  validation {
    condition     = !can(regex("^(?i:aws|ecs|fargate)", var.name))
    error_message = "name must not begin with aws, ecs or fargate: ECS reserves those for its own capacity providers."
  }
}

variable "cluster_name" {
  description = "Cluster that the hosts register with."
  type        = string

  validation {
    condition     = can(regex("^[a-zA-Z0-9_-]{1,255}$", var.cluster_name))
    error_message = "cluster_name has 1 to 255 letters, digits, _ and -."
  }
}

variable "environment" {
  description = "Value of the `Environment` tag, such as production."
  type        = string

  validation {
    condition     = length(trimspace(var.environment)) > 0
    error_message = "environment must not be empty: it is the Environment tag of everything here."
  }
}

variable "tags" {
  description = "More tags for everything here."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = !contains(keys(var.tags), "Environment")
    error_message = "tags must not hold Environment: give it as the variable environment."
  }
}

variable "vpc_id" {
  description = "VPC of the hosts."
  type        = string
}

variable "subnet_ids" {
  description = "Private subnets, best one in each zone."
  type        = list(string)

  validation {
    condition     = length(var.subnet_ids) > 0
    error_message = "subnet_ids needs at least one subnet."
  }
}

variable "size" {
  description = "Bounds of the group. How many hosts run between them is decided by ECS and by ecsroll, never by Terraform; a new group starts with min."
  type = object({
    min = optional(number, 1)
    max = optional(number, 4)
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.size.min >= 0 && var.size.max >= 1 && var.size.min <= var.size.max
    error_message = "size.min must be 0 or more and not above size.max."
  }
}

variable "ami" {
  description = "What the hosts boot. `family` is one of al2023, al2023-arm64, al2023-gpu, al2023-neuron, bottlerocket, bottlerocket-arm64 and bottlerocket-nvidia. `first_image_id` is what the image parameter holds when it is made (null: what AWS recommends then); from then on it belongs to ecsroll."
  type = object({
    family         = optional(string, "al2023")
    first_image_id = optional(string)
  })
  default  = {}
  nullable = false

  validation {
    condition = contains([
      "al2023", "al2023-arm64", "al2023-gpu", "al2023-neuron", "bottlerocket", "bottlerocket-arm64", "bottlerocket-nvidia",
    ], var.ami.family)
    error_message = "ami.family must be al2023, al2023-arm64, al2023-gpu, al2023-neuron, bottlerocket, bottlerocket-arm64 or bottlerocket-nvidia."
  }

  validation {
    condition     = var.ami.first_image_id == null || can(regex("^ami-[0-9a-f]{8,17}$", var.ami.first_image_id))
    error_message = "ami.first_image_id must look like ami-0123456789abcdef0."
  }
}

variable "instance_types" {
  description = "Instance types, the preferred one first. More than one makes a mixed instances policy."
  type        = list(string)
  default     = ["m7i.large"]

  validation {
    condition     = length(var.instance_types) > 0 && alltrue([for type in var.instance_types : can(regex("^[a-z0-9-]+\\.[a-z0-9-]+$", type))])
    error_message = "instance_types needs at least one type, such as m7i.large."
  }

  validation {
    # The g after the generation (m7g, c6gn, im4gn) is AWS's word for Graviton; a1 came before it.
    condition     = alltrue([for type in var.instance_types : can(regex("^([a-z]+[0-9]+g[a-z]*|a1)\\.", type)) == endswith(var.ami.family, "-arm64")])
    error_message = "instance_types: Graviton types (such as m7g.large) need an -arm64 family in ami.family, and the others need one without."
  }

  validation {
    condition     = !contains(["al2023-gpu", "bottlerocket-nvidia"], var.ami.family) || alltrue([for type in var.instance_types : can(regex("^(p|g|gr)[0-9]", type))])
    error_message = "instance_types must have NVIDIA GPUs (g, gr and p) for ami.family al2023-gpu and bottlerocket-nvidia."
  }

  validation {
    condition     = var.ami.family != "al2023-neuron" || alltrue([for type in var.instance_types : can(regex("^(inf|trn)[0-9]", type))])
    error_message = "instance_types must have Neuron chips (inf and trn) for ami.family al2023-neuron."
  }
}

variable "spot" {
  description = "How much of the group is Spot; null for On-Demand only. `on_demand_base` hosts come first, `on_demand_percentage` of the others are On-Demand too."
  type = object({
    on_demand_base       = optional(number, 0)
    on_demand_percentage = optional(number, 0)
    allocation_strategy  = optional(string, "price-capacity-optimized")
  })
  default = null

  validation {
    condition     = var.spot == null || contains(["price-capacity-optimized", "capacity-optimized", "capacity-optimized-prioritized", "lowest-price"], try(var.spot.allocation_strategy, ""))
    error_message = "spot.allocation_strategy must be price-capacity-optimized, capacity-optimized, capacity-optimized-prioritized or lowest-price."
  }

  validation {
    condition     = var.spot == null || try(var.spot.on_demand_percentage >= 0 && var.spot.on_demand_percentage <= 100 && var.spot.on_demand_base >= 0, false)
    error_message = "spot.on_demand_percentage must be 0 to 100, spot.on_demand_base 0 or more."
  }
}

variable "disk" {
  description = "The encrypted gp3 disk for images and containers. `kms_key_arn` if not the account's default key for EBS."
  type = object({
    size_gb     = optional(number, 30)
    iops        = optional(number, 3000)
    throughput  = optional(number, 125)
    kms_key_arn = optional(string)
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.disk.size_gb >= 30 && var.disk.size_gb <= 16384
    error_message = "disk.size_gb must be 30 (what the ECS-optimized image has) to 16384."
  }

  validation {
    condition     = var.disk.iops >= 3000 && var.disk.iops <= 16000 && var.disk.throughput >= 125 && var.disk.throughput <= 1000
    error_message = "disk.iops must be 3000 to 16000, disk.throughput 125 to 1000."
  }
}

variable "ingress" {
  description = "Who reaches the hosts: security groups by a name of your own. The default ports are those that Docker and ECS give to dynamic host ports."
  type = map(object({
    security_group_id = string
    from_port         = optional(number, 32768)
    to_port           = optional(number, 65535)
    protocol          = optional(string, "tcp")
  }))
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for rule in values(var.ingress) : contains(["tcp", "udp"], rule.protocol)])
    error_message = "ingress: protocol must be tcp or udp."
  }

  validation {
    condition     = alltrue([for rule in values(var.ingress) : rule.from_port >= 1 && rule.to_port <= 65535 && rule.from_port <= rule.to_port])
    error_message = "ingress: from_port must be 1 or more and not above to_port, to_port 65535 at most."
  }
}

variable "session_access" {
  description = "Whether people reach a host's shell through SSM Session Manager. There is no SSH."
  type        = bool
  default     = true
  nullable    = false
}

variable "imds_hop_limit" {
  description = "How many hops an answer of the instance metadata service travels: 1 keeps it on the host; 2 lets containers in bridge mode read it, the host's credentials included."
  type        = number
  default     = 1

  validation {
    condition     = contains([1, 2], var.imds_hop_limit)
    error_message = "imds_hop_limit must be 1 or 2."
  }
}

variable "policies" {
  description = "More policies for the hosts' role, by a name of your own (JSON). What tasks need belongs in task roles."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for policy in values(var.policies) : can(jsondecode(policy).Statement)])
    error_message = "policies: each must be the JSON of a policy."
  }
}

variable "registry_credentials" {
  description = "As in ecs_config: a private S3 object with registry credentials; null for none."
  type = object({
    bucket      = string
    key         = string
    kms_key_arn = optional(string)
  })
  default = null
}

variable "agent" {
  description = "As in ecs_config: options of the ECS agent. GPU support, Spot draining, the warm pool check and the attribute `instance-group` are set from the other variables."
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
}

variable "logs" {
  description = "Where the hosts' own logs go: `module.ecs_logs`; null for nowhere."
  type = object({
    script = string
    policy = string
  })
  default = null

  validation {
    condition     = var.logs == null || !startswith(var.ami.family, "bottlerocket")
    error_message = "logs needs a shell and packages, which Bottlerocket does not have: run the CloudWatch agent as a daemon service there."
  }
}

variable "extra_user_data" {
  description = "Shell lines that run at first boot after everything else; TOML settings for Bottlerocket."
  type        = string
  default     = ""
  nullable    = false

  validation {
    condition     = !startswith(var.extra_user_data, "#!")
    error_message = "extra_user_data goes on in the module's own script, so it has no #! line."
  }
}

variable "managed_scaling" {
  description = "Whether ECS sizes the group to what tasks need. Null leaves desired capacity to others."
  type = object({
    target_capacity   = optional(number, 100)
    minimum_step_size = optional(number, 1)
    maximum_step_size = optional(number, 10)
    warmup_seconds    = optional(number, 120)
  })
  default = {}

  validation {
    condition     = var.managed_scaling == null || try(var.managed_scaling.target_capacity >= 1 && var.managed_scaling.target_capacity <= 100, false)
    error_message = "managed_scaling.target_capacity must be 1 to 100."
  }

  validation {
    condition = var.managed_scaling == null || try(
      var.managed_scaling.minimum_step_size >= 1 && var.managed_scaling.maximum_step_size <= 10000
      && var.managed_scaling.minimum_step_size <= var.managed_scaling.maximum_step_size,
      false
    )
    error_message = "managed_scaling: step sizes must be 1 to 10000, the minimum not above the maximum."
  }
}

variable "managed_draining" {
  description = "Whether ECS drains a host that Auto Scaling is about to terminate (scale-in, Spot, health). ecsroll drains by itself and gets along with it."
  type        = bool
  default     = true
  nullable    = false
}

variable "managed_termination_protection" {
  description = "Whether ECS protects hosts with tasks from scale-in. With managed draining AWS sees little need for it, and a host that holds only daemon tasks has been seen to stay protected for ever."
  type        = bool
  default     = false
  nullable    = false

  validation {
    condition     = !var.managed_termination_protection || var.managed_scaling != null
    error_message = "managed_termination_protection works with managed_scaling only."
  }
}

variable "replaced_by" {
  description = "Who replaces hosts: `ecsroll` (an apply replaces nothing), or `instance_refresh` (an apply that changes the launch template starts one; a new image does not)."
  type        = string
  default     = "ecsroll"

  validation {
    condition     = contains(["ecsroll", "instance_refresh"], var.replaced_by)
    error_message = "replaced_by must be ecsroll or instance_refresh."
  }

  validation {
    condition     = var.replaced_by != "instance_refresh" || var.managed_draining
    error_message = "replaced_by instance_refresh needs managed_draining: without it each host is terminated with its tasks."
  }
}

variable "warm_pool" {
  description = "Hosts kept ready beside the group; null for none. They boot with the image of their day: ecsroll counts one that joins with an old image as a failed launch, so empty the pool before a roll."
  type = object({
    state        = optional(string, "Stopped")
    min_size     = optional(number, 0)
    max_prepared = optional(number)
  })
  default = null

  validation {
    condition     = var.warm_pool == null || contains(["Stopped", "Running", "Hibernated"], try(var.warm_pool.state, ""))
    error_message = "warm_pool.state must be Stopped, Running or Hibernated."
  }

  validation {
    condition     = var.warm_pool == null || (var.spot == null && length(var.instance_types) == 1)
    error_message = "warm_pool: Auto Scaling has none for a group with several instance types or Spot."
  }
}

variable "lifecycle_hooks" {
  description = "Lifecycle hooks by name. ECS adds its own for managed draining. `on` is launch or terminate."
  type = map(object({
    on                      = string
    heartbeat_seconds       = optional(number, 300)
    default_result          = optional(string, "CONTINUE")
    metadata                = optional(string)
    notification_target_arn = optional(string)
    role_arn                = optional(string)
  }))
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for hook in values(var.lifecycle_hooks) : contains(["launch", "terminate"], hook.on)])
    error_message = "lifecycle_hooks: on must be launch or terminate."
  }

  validation {
    condition     = alltrue([for hook in values(var.lifecycle_hooks) : contains(["CONTINUE", "ABANDON"], hook.default_result) && hook.heartbeat_seconds >= 30 && hook.heartbeat_seconds <= 7200])
    error_message = "lifecycle_hooks: default_result must be CONTINUE or ABANDON, heartbeat_seconds 30 to 7200."
  }

  validation {
    condition     = !contains(keys(var.lifecycle_hooks), "ecs-managed-draining-termination-hook")
    error_message = "lifecycle_hooks: ecs-managed-draining-termination-hook is the name of ECS's own hook."
  }
}

variable "force_delete" {
  description = "Whether destroying the group terminates its hosts at once, without draining or waiting for scale-in protection."
  type        = bool
  default     = false
  nullable    = false
}
