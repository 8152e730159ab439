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

variable "listeners" {
  description = "Listeners by the port they listen on. `instance_port` is the fixed port of the task's host."
  type = map(object({
    protocol          = optional(string, "HTTP")
    instance_port     = number
    instance_protocol = optional(string, "HTTP")
    certificate_arn   = optional(string)
  }))

  validation {
    condition     = length(var.listeners) > 0 && alltrue([for port in keys(var.listeners) : can(regex("^[0-9]+$", port)) && try(tonumber(port) >= 1 && tonumber(port) <= 65535, false)])
    error_message = "The keys of listeners are ports from 1 to 65535, one at least."
  }

  validation {
    condition     = alltrue([for listener in values(var.listeners) : contains(["HTTP", "HTTPS", "TCP", "SSL"], listener.protocol) && contains(["HTTP", "HTTPS", "TCP", "SSL"], listener.instance_protocol)])
    error_message = "listeners: protocol and instance_protocol must be HTTP, HTTPS, TCP or SSL."
  }

  validation {
    condition     = alltrue([for listener in values(var.listeners) : (listener.certificate_arn != null) == contains(["HTTPS", "SSL"], listener.protocol)])
    error_message = "listeners: HTTPS and SSL need a certificate_arn, HTTP and TCP take none."
  }
}

variable "health" {
  description = "How a host is found healthy: `target` is HTTP:PORT/PATH, HTTPS:PORT/PATH, TCP:PORT or SSL:PORT."
  type = object({
    target              = string
    interval            = optional(number, 10)
    timeout             = optional(number, 5)
    healthy_threshold   = optional(number, 2)
    unhealthy_threshold = optional(number, 3)
  })

  validation {
    condition     = can(regex("^((HTTP|HTTPS):[0-9]+/.*|(TCP|SSL):[0-9]+)$", var.health.target))
    error_message = "health.target must be like HTTP:8080/healthz, HTTPS:8443/, TCP:8080 or SSL:8443."
  }

  validation {
    condition     = var.health.timeout < var.health.interval && var.health.interval >= 5 && var.health.interval <= 300
    error_message = "health.interval must be 5 to 300 seconds, health.timeout shorter."
  }
}

variable "draining_timeout" {
  description = "Seconds that open connections have when a host leaves. ECS waits for it before it stops a task, so it is part of every drain."
  type        = number
  default     = 30

  validation {
    condition     = var.draining_timeout >= 1 && var.draining_timeout <= 3600
    error_message = "draining_timeout must be 1 to 3600 seconds."
  }
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

variable "access_logs" {
  description = "S3 bucket for access logs; null for none. Its policy must let the load balancer write."
  type = object({
    bucket = string
    prefix = optional(string)
  })
  default = null
}
