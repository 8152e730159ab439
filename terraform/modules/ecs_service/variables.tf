variable "name" {
  description = "Name of the service."
  type        = string

  validation {
    condition     = can(regex("^[a-zA-Z0-9_-]{1,255}$", var.name))
    error_message = "name has 1 to 255 letters, digits, _ and -."
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

variable "cluster_arn" {
  description = "ARN of the cluster."
  type        = string
}

variable "task_definition_arn" {
  description = "Task definition that somebody else makes; null if `task` does."
  type        = string
  default     = null

  validation {
    condition     = (var.task_definition_arn == null) != (var.task == null)
    error_message = "Give either task_definition_arn or task."
  }
}

variable "task" {
  description = "The task definition to make: `containers` is the JSON of container definitions (`jsonencode([...])`), `volumes` are directories of the host by name."
  type = object({
    containers         = string
    network_mode       = optional(string, "bridge")
    cpu                = optional(number)
    memory             = optional(number)
    task_role_arn      = optional(string)
    execution_role_arn = optional(string)
    volumes            = optional(map(string), {})
  })
  default = null

  validation {
    condition     = var.task == null || can(jsondecode(var.task.containers)[0].name)
    error_message = "task.containers must be the JSON of a list of container definitions, each with a name."
  }

  validation {
    condition     = var.task == null || contains(["bridge", "host", "awsvpc", "none"], try(var.task.network_mode, ""))
    error_message = "task.network_mode must be bridge, host, awsvpc or none."
  }

  validation {
    condition     = try(var.task.network_mode, "") != "awsvpc" || length(var.subnet_ids) > 0
    error_message = "task.network_mode awsvpc needs subnet_ids."
  }
}

variable "scheduling_strategy" {
  description = "`REPLICA` (so many tasks), or `DAEMON` (one on each host)."
  type        = string
  default     = "REPLICA"

  validation {
    condition     = contains(["REPLICA", "DAEMON"], var.scheduling_strategy)
    error_message = "scheduling_strategy must be REPLICA or DAEMON."
  }
}

variable "desired_count" {
  description = "Tasks that the service starts with. From then on the count belongs to its scaling and to people: Terraform does not set it back."
  type        = number
  default     = 2

  validation {
    condition     = var.desired_count >= 0 && floor(var.desired_count) == var.desired_count
    error_message = "desired_count must be a whole number, 0 or more."
  }
}

variable "autoscaling" {
  description = "Bounds of the count and the use that it aims at; null for none."
  type = object({
    min            = number
    max            = number
    cpu_percent    = optional(number)
    memory_percent = optional(number)
  })
  default = null

  validation {
    condition     = var.autoscaling == null || try(var.autoscaling.min >= 0 && var.autoscaling.min <= var.autoscaling.max, false)
    error_message = "autoscaling.min must be 0 or more and not above autoscaling.max."
  }

  validation {
    condition     = var.autoscaling == null || try(coalesce(var.autoscaling.cpu_percent, var.autoscaling.memory_percent), 0) > 0
    error_message = "autoscaling needs cpu_percent, memory_percent or both."
  }

  validation {
    condition     = var.autoscaling == null || var.scheduling_strategy == "REPLICA"
    error_message = "autoscaling is for REPLICA: a DAEMON has one task on each host."
  }
}

variable "deployment" {
  description = "Bounds while tasks are replaced, in a deployment and in a drain. Null for ECS's defaults: 100 and 200 (DAEMON: 0 and 100)."
  type = object({
    minimum_healthy_percent = optional(number)
    maximum_percent         = optional(number)
  })
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for percent in [var.deployment.minimum_healthy_percent, var.deployment.maximum_percent] : percent == null || try(percent >= 0 && percent <= 200, false)])
    error_message = "deployment: percentages must be 0 to 200."
  }

  validation {
    # ECS stops a task of a draining host while healthy tasks stay at or above ceil(count * min%), and starts one before
    # that while all stay at or below floor(count * max%). If neither moves, a drain waits for ever and says nothing.
    condition = var.scheduling_strategy == "DAEMON" || alltrue([
      for count in distinct([var.desired_count, try(var.autoscaling.min, var.desired_count)]) : count == 0 ||
      ceil(count * coalesce(var.deployment.minimum_healthy_percent, 100) / 100) < count ||
      floor(count * coalesce(var.deployment.maximum_percent, 200) / 100) > count
    ])
    error_message = "deployment: with these bounds ECS can neither start a task nor stop one (the minimum is rounded up, the maximum down), so no drain would end. Lower minimum_healthy_percent or raise maximum_percent."
  }

  validation {
    condition = var.scheduling_strategy == "REPLICA" || (
      coalesce(var.deployment.minimum_healthy_percent, 1) < 100 && coalesce(var.deployment.maximum_percent, 100) == 100
    )
    error_message = "deployment: a DAEMON has room for one task on each host, so maximum_percent is 100 and minimum_healthy_percent below it."
  }
}

variable "placement_strategies" {
  description = "In order: `spread` over a field (instanceId, host or attribute:NAME), `binpack` by a field (cpu or memory), or `random`. Null for zones, then hosts (REPLICA)."
  type = list(object({
    type  = string
    field = optional(string)
  }))
  default = null

  validation {
    condition     = var.placement_strategies == null || try(length(var.placement_strategies) <= 5, false)
    error_message = "placement_strategies: ECS takes 5 at most."
  }

  validation {
    condition     = alltrue([for strategy in coalesce(var.placement_strategies, []) : contains(["spread", "binpack", "random"], strategy.type)])
    error_message = "placement_strategies: type must be spread, binpack or random."
  }

  validation {
    condition = alltrue([for strategy in coalesce(var.placement_strategies, []) :
      strategy.type == "binpack" ? contains(["cpu", "memory"], coalesce(strategy.field, "none")) :
      strategy.type == "spread" ? can(regex("^(instanceId|host|attribute:[A-Za-z0-9_./-]+)$", strategy.field)) :
      strategy.field == null
    ])
    error_message = "placement_strategies: binpack takes the field cpu or memory, spread takes instanceId, host or attribute:NAME, random takes none."
  }

  validation {
    condition     = var.scheduling_strategy == "REPLICA" || length(coalesce(var.placement_strategies, [])) == 0
    error_message = "placement_strategies are for REPLICA: ECS places a DAEMON on every host."
  }
}

variable "placement_constraints" {
  description = "`distinctInstance` (one task of the service on a host), or `memberOf` with an expression that hosts must meet."
  type = list(object({
    type       = string
    expression = optional(string)
  }))
  default  = []
  nullable = false

  validation {
    condition     = alltrue([for constraint in var.placement_constraints : contains(["distinctInstance", "memberOf"], constraint.type)])
    error_message = "placement_constraints: type must be distinctInstance or memberOf."
  }

  validation {
    condition     = alltrue([for constraint in var.placement_constraints : (constraint.type == "memberOf") == (try(length(constraint.expression), 0) > 0)])
    error_message = "placement_constraints: memberOf needs an expression, distinctInstance takes none."
  }

  validation {
    condition     = length(var.placement_constraints) + (var.fence ? 1 : 0) <= 10
    error_message = "placement_constraints: ECS takes 10 at most, and the fence is one of them."
  }

  validation {
    condition     = alltrue([for constraint in var.placement_constraints : !can(regex("ecs\\.ami-id", constraint.expression))])
    error_message = "placement_constraints: a service bound to ecs.ami-id can never move to a host with another image."
  }

  validation {
    condition     = alltrue([for constraint in var.placement_constraints : !can(regex("attribute:ecsroll\\.", constraint.expression))])
    error_message = "placement_constraints: attributes that begin with ecsroll. are ecsroll's; the fence is asked for by fence = true."
  }

  validation {
    condition     = var.scheduling_strategy == "REPLICA" || alltrue([for constraint in var.placement_constraints : constraint.type == "memberOf"])
    error_message = "placement_constraints: a DAEMON has one task on a host anyway, so it takes memberOf only."
  }
}

variable "fence" {
  description = "Whether the service keeps off hosts that a roll is about to replace (attribute `ecsroll.outdated`), so that each task moves exactly once."
  type        = bool
  default     = false
  nullable    = false

  validation {
    condition     = !var.fence || var.scheduling_strategy == "REPLICA"
    error_message = "fence is for REPLICA: ECS would stop a DAEMON's tasks on every outdated host at once."
  }
}

variable "availability_zone_rebalancing" {
  description = "Whether ECS evens out the zones by itself, after a roll too. Null for yes where ECS can (REPLICA, no classic balancer, maximum above 100 %, spread over zones first)."
  type        = bool
  default     = null

  validation {
    condition = var.availability_zone_rebalancing != true || (
      var.scheduling_strategy == "REPLICA"
      && alltrue([for balancer in var.load_balancers : balancer.elb_name == null])
      && coalesce(var.deployment.maximum_percent, 200) > 100
      && try(var.placement_strategies[0].field == "attribute:ecs.availability-zone", var.placement_strategies == null ? true : length(var.placement_strategies) == 0)
    )
    error_message = "availability_zone_rebalancing needs REPLICA, no classic balancer, a maximum_percent above 100 and, if strategies are given, spread over attribute:ecs.availability-zone as the first."
  }
}

variable "capacity_providers" {
  description = "Capacity providers by name with weight and base; empty for the cluster's default."
  type = map(object({
    weight = optional(number, 1)
    base   = optional(number, 0)
  }))
  default  = {}
  nullable = false

  validation {
    condition     = length([for provider in values(var.capacity_providers) : provider if provider.base > 0]) <= 1
    error_message = "capacity_providers: only one of them may have a base."
  }
}

variable "load_balancers" {
  description = "Where the service is registered: `target_group_arn` (module alb) or `elb_name` (module clb), with the container and its port."
  type = list(object({
    target_group_arn = optional(string)
    elb_name         = optional(string)
    container_name   = string
    container_port   = number
  }))
  default  = []
  nullable = false

  validation {
    condition     = alltrue([for balancer in var.load_balancers : (balancer.target_group_arn == null) != (balancer.elb_name == null)])
    error_message = "load_balancers: each takes either target_group_arn or elb_name."
  }

  validation {
    condition     = length(var.load_balancers) <= 5
    error_message = "load_balancers: ECS takes 5 at most."
  }
}

variable "health_check_grace_period" {
  description = "Seconds that a new task has before a failing balancer health check stops it. Too short, and a slow start after each move becomes a loop."
  type        = number
  default     = 60

  validation {
    condition     = var.health_check_grace_period >= 0
    error_message = "health_check_grace_period must be 0 or more seconds."
  }
}

variable "subnet_ids" {
  description = "Subnets of the tasks, for network mode awsvpc."
  type        = list(string)
  default     = []
  nullable    = false
}

variable "security_group_ids" {
  description = "Security groups of the tasks, for network mode awsvpc."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = length(var.security_group_ids) == 0 || length(var.subnet_ids) > 0
    error_message = "security_group_ids are for network mode awsvpc, which needs subnet_ids."
  }
}

variable "service_connect" {
  description = "Ports of the task definition that Service Connect serves in the cluster's namespace: `port_name` to a name and port for clients. Null to stay out, empty to be a client only."
  type = map(object({
    dns_name = string
    port     = number
  }))
  default = null
}

variable "alarms" {
  description = "CloudWatch alarms that fail a deployment and roll it back."
  type        = set(string)
  default     = []
  nullable    = false
}

variable "exec" {
  description = "Whether ECS Exec may open a shell in the containers; the task role needs the ssmmessages actions."
  type        = bool
  default     = false
  nullable    = false
}
