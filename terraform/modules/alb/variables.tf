variable "name" {
  description = "Name of the load balancer."
  type        = string

  validation {
    condition     = can(regex("^[a-zA-Z0-9]([a-zA-Z0-9-]{0,30}[a-zA-Z0-9])?$", var.name)) && !startswith(var.name, "internal-")
    error_message = "name has 1 to 32 letters, digits and inner -, and does not begin with internal-."
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
  description = "VPC of the load balancer."
  type        = string
}

variable "vpc_cidr" {
  description = "IPv4 range of the VPC: where targets may be."
  type        = string

  validation {
    condition     = can(cidrnetmask(var.vpc_cidr))
    error_message = "vpc_cidr must be an IPv4 range, such as 10.0.0.0/16."
  }
}

variable "subnet_ids" {
  description = "Subnets in two zones or more: public ones, or private ones if internal."
  type        = list(string)

  validation {
    condition     = length(var.subnet_ids) >= 2
    error_message = "subnet_ids needs subnets in at least two zones."
  }
}

variable "internal" {
  description = "Whether the load balancer has private addresses only."
  type        = bool
  default     = false
  nullable    = false
}

variable "allow" {
  description = "Who may call it: IPv4 ranges, prefix lists, and security groups by a name of your own. Nobody by default."
  type = object({
    cidrs              = optional(set(string), [])
    prefix_list_ids    = optional(set(string), [])
    security_group_ids = optional(map(string), {})
  })
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for cidr in var.allow.cidrs : can(cidrnetmask(cidr))])
    error_message = "allow.cidrs must be IPv4 ranges, such as 0.0.0.0/0 or 192.0.2.0/24."
  }
}

variable "certificate_arn" {
  description = "Certificate of the HTTPS listener; HTTP then only redirects. Without one the load balancer speaks plain HTTP."
  type        = string
  default     = null

  validation {
    condition     = var.certificate_arn == null || can(regex("^arn:[^:]+:(acm|iam):", var.certificate_arn))
    error_message = "certificate_arn must be the ARN of an ACM or IAM certificate."
  }
}

variable "ssl_policy" {
  description = "TLS policy of the HTTPS listener; one that speaks TLS 1.2 and 1.3 only."
  type        = string
  default     = "ELBSecurityPolicy-TLS13-1-2-2021-06"

  validation {
    condition     = can(regex("^ELBSecurityPolicy-(TLS13-1-[23]-|FS-1-2-)", var.ssl_policy))
    error_message = "ssl_policy must be one of AWS's policies for TLS 1.2 or newer: ELBSecurityPolicy-TLS13-1-2-..., ELBSecurityPolicy-TLS13-1-3-... or ELBSecurityPolicy-FS-1-2-...."
  }
}

variable "access_logs" {
  description = "S3 bucket for access logs; null for none. Its policy must let the load balancer write."
  type = object({
    bucket = string
    prefix = optional(string)
  })
  default = null
}

variable "deletion_protection" {
  description = "Whether the load balancer must be unprotected before it can be destroyed."
  type        = bool
  default     = true
  nullable    = false
}

variable "idle_timeout" {
  description = "Seconds after which an idle connection is closed."
  type        = number
  default     = 60

  validation {
    condition     = var.idle_timeout >= 1 && var.idle_timeout <= 4000
    error_message = "idle_timeout must be 1 to 4000 seconds."
  }
}

variable "target_groups" {
  description = "Target groups by name, with the hosts and paths that lead there; everything else is answered with 404. `target_type` is instance (bridge, host) or ip (awsvpc)."
  type = map(object({
    priority             = number
    hosts                = optional(set(string), [])
    paths                = optional(set(string), [])
    port                 = optional(number, 80)
    protocol             = optional(string, "HTTP")
    target_type          = optional(string, "instance")
    deregistration_delay = optional(number, 30)
    slow_start           = optional(number, 0)
    algorithm            = optional(string, "least_outstanding_requests")
    sticky_seconds       = optional(number)
    health = optional(object({
      path                = optional(string, "/")
      codes               = optional(string, "200-399")
      interval            = optional(number, 10)
      timeout             = optional(number, 5)
      healthy_threshold   = optional(number, 2)
      unhealthy_threshold = optional(number, 3)
    }), {})
  }))
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for name in keys(var.target_groups) : can(regex("^[a-zA-Z0-9]([a-zA-Z0-9-]{0,30}[a-zA-Z0-9])?$", name))])
    error_message = "The keys of target_groups are names of 1 to 32 letters, digits and inner -."
  }

  validation {
    condition     = alltrue([for group in values(var.target_groups) : length(group.hosts) + length(group.paths) > 0])
    error_message = "target_groups: each needs hosts, paths or both; for everything say paths = [\"/*\"]."
  }

  validation {
    condition     = alltrue([for group in values(var.target_groups) : group.priority >= 1 && group.priority <= 50000]) && length(distinct([for group in values(var.target_groups) : group.priority])) == length(var.target_groups)
    error_message = "target_groups: priority must be 1 to 50000, and each its own."
  }

  validation {
    condition     = alltrue([for group in values(var.target_groups) : contains(["instance", "ip"], group.target_type) && contains(["HTTP", "HTTPS"], group.protocol)])
    error_message = "target_groups: target_type must be instance or ip, protocol HTTP or HTTPS."
  }

  validation {
    condition     = alltrue([for group in values(var.target_groups) : group.deregistration_delay >= 0 && group.deregistration_delay <= 3600])
    error_message = "target_groups: deregistration_delay must be 0 to 3600 seconds."
  }

  validation {
    condition     = alltrue([for group in values(var.target_groups) : contains(["round_robin", "least_outstanding_requests", "weighted_random"], group.algorithm)])
    error_message = "target_groups: algorithm must be round_robin, least_outstanding_requests or weighted_random."
  }

  validation {
    condition     = alltrue([for group in values(var.target_groups) : group.slow_start == 0 || (group.slow_start >= 30 && group.slow_start <= 900 && group.algorithm == "round_robin")])
    error_message = "target_groups: slow_start must be 0 or 30 to 900 seconds, and works with the algorithm round_robin only."
  }

  validation {
    condition     = alltrue([for group in values(var.target_groups) : group.health.timeout < group.health.interval && group.health.interval >= 5 && group.health.interval <= 300])
    error_message = "target_groups: health.interval must be 5 to 300 seconds, health.timeout shorter."
  }

  validation {
    condition     = alltrue([for group in values(var.target_groups) : group.sticky_seconds == null || try(group.sticky_seconds >= 1 && group.sticky_seconds <= 604800, false)])
    error_message = "target_groups: sticky_seconds must be 1 to 604800."
  }
}
