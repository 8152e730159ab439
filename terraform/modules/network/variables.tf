variable "name" {
  description = "Name of the VPC, and the start of every name in it."
  type        = string

  validation {
    condition     = can(regex("^[a-zA-Z0-9][a-zA-Z0-9-]{0,31}$", var.name))
    error_message = "name has 1 to 32 letters, digits and -, and begins with a letter or a digit."
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

variable "cidr" {
  description = "IPv4 range of the VPC."
  type        = string
  default     = "10.0.0.0/16"

  validation {
    condition     = can(cidrnetmask(var.cidr)) && try(cidrsubnet(var.cidr, 0, 0) == var.cidr, false)
    error_message = "cidr must be the IPv4 range of a network, such as 10.0.0.0/16."
  }

  validation {
    condition     = try(tonumber(split("/", var.cidr)[1]) >= 16 && tonumber(split("/", var.cidr)[1]) <= 28, false)
    error_message = "cidr must be between /16 and /28, as AWS wants of a VPC."
  }
}

variable "zones" {
  description = "Availability zones and their subnets. The zone is the key, so a zone that goes does not renumber the others."
  type = map(object({
    private_cidr = string
    public_cidr  = string
  }))

  validation {
    condition     = length(var.zones) > 0
    error_message = "zones needs at least one zone; a load balancer needs two."
  }

  validation {
    condition     = alltrue([for zone in keys(var.zones) : can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]+[a-z]$", zone))])
    error_message = "The keys of zones are names of availability zones, such as eu-central-1a."
  }

  validation {
    condition = alltrue(flatten([for zone in values(var.zones) : [for cidr in [zone.private_cidr, zone.public_cidr] :
      try(cidrsubnet(cidr, 0, 0) == cidr && tonumber(split("/", cidr)[1]) <= 28, false)
    ]]))
    error_message = "zones: private_cidr and public_cidr must be IPv4 ranges of networks of /28 or more, such as 10.0.0.0/20."
  }

  validation {
    condition = alltrue(flatten([for zone in values(var.zones) : [for cidr in [zone.private_cidr, zone.public_cidr] :
      try(
        tonumber(split("/", cidr)[1]) >= tonumber(split("/", var.cidr)[1])
        && cidrsubnet("${split("/", cidr)[0]}/${split("/", var.cidr)[1]}", 0, 0) == var.cidr,
        false
      )
    ]]))
    error_message = "Every subnet of zones must lie within cidr."
  }
}

variable "nat" {
  description = "How hosts reach the internet: `per_zone` (survives the loss of a zone), `one` (cheaper; shares the fate of its zone) or `none` (through endpoints only)."
  type        = string
  default     = "per_zone"

  validation {
    condition     = contains(["per_zone", "one", "none"], var.nat)
    error_message = "nat must be per_zone, one or none."
  }

  validation {
    condition = var.nat != "none" || (
      length(setsubtract(["ecs", "ecs-agent", "ecs-telemetry", "ecr.api", "ecr.dkr", "logs"], var.endpoints.interface)) == 0
      && contains(var.endpoints.gateway, "s3")
    )
    error_message = "nat none leaves only endpoints: endpoints.interface needs ecs, ecs-agent, ecs-telemetry, ecr.api, ecr.dkr and logs, endpoints.gateway needs s3 (layers of ECR images lie there)."
  }
}

variable "endpoints" {
  description = "VPC endpoints by service. Gateway endpoints cost nothing; each interface endpoint costs by hour and zone."
  type = object({
    gateway   = optional(set(string), ["s3"])
    interface = optional(set(string), [])
  })
  default  = {}
  nullable = false

  validation {
    condition     = length(setsubtract(var.endpoints.gateway, ["s3", "dynamodb"])) == 0
    error_message = "endpoints.gateway takes s3 and dynamodb."
  }

  validation {
    condition = length(setsubtract(var.endpoints.interface, [
      "autoscaling", "ec2", "ec2messages", "ecr.api", "ecr.dkr", "ecs", "ecs-agent", "ecs-telemetry", "elasticloadbalancing",
      "events", "kms", "logs", "monitoring", "secretsmanager", "sns", "sqs", "ssm", "ssmmessages", "sts",
    ])) == 0
    error_message = "endpoints.interface takes autoscaling, ec2, ec2messages, ecr.api, ecr.dkr, ecs, ecs-agent, ecs-telemetry, elasticloadbalancing, events, kms, logs, monitoring, secretsmanager, sns, sqs, ssm, ssmmessages and sts."
  }
}

variable "flow_logs" {
  description = "Flow logs of the VPC to CloudWatch Logs; null for none."
  type = object({
    traffic        = optional(string, "ALL")
    retention_days = optional(number, 365)
    kms_key_arn    = optional(string)
  })
  default = {}

  validation {
    condition     = var.flow_logs == null || contains(["ACCEPT", "REJECT", "ALL"], try(var.flow_logs.traffic, ""))
    error_message = "flow_logs.traffic must be ACCEPT, REJECT or ALL."
  }

  validation {
    condition     = var.flow_logs == null || contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], try(var.flow_logs.retention_days, 0))
    error_message = "flow_logs.retention_days must be one of 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288 and 3653."
  }
}
