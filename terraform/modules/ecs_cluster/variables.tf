variable "name" {
  description = "Name of the cluster."
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

variable "container_insights" {
  description = "Container Insights: `enhanced`, `enabled` or `disabled`."
  type        = string
  default     = "enabled"

  validation {
    condition     = contains(["enhanced", "enabled", "disabled"], var.container_insights)
    error_message = "container_insights must be enhanced, enabled or disabled."
  }
}

variable "exec_logging" {
  description = "Log of what people do in containers with ECS Exec; null leaves it to each task's own log. A key encrypts the session too; its policy must let logs.REGION.amazonaws.com use it, and task roles need kms:Decrypt."
  type = object({
    retention_days = optional(number, 365)
    kms_key_arn    = optional(string)
  })
  default = {}

  validation {
    condition     = var.exec_logging == null || contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], try(var.exec_logging.retention_days, 0))
    error_message = "exec_logging.retention_days must be one of 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288 and 3653."
  }

  validation {
    condition     = try(var.exec_logging.kms_key_arn, null) == null || can(regex("^arn:[^:]+:kms:[^:]+:[0-9]{12}:key/", var.exec_logging.kms_key_arn))
    error_message = "exec_logging.kms_key_arn must be the ARN of a KMS key."
  }
}

variable "service_connect_namespace" {
  description = "Name of a Cloud Map namespace to make, the default of services that use Service Connect; null for none."
  type        = string
  default     = null

  validation {
    condition     = var.service_connect_namespace == null || can(regex("^[a-zA-Z0-9][a-zA-Z0-9._-]{0,254}$", var.service_connect_namespace))
    error_message = "service_connect_namespace has 1 to 255 letters, digits, ., _ and -."
  }
}

variable "capacity_providers" {
  description = "Capacity providers of the cluster by name (`module.NAME.capacity_provider_name`, FARGATE, FARGATE_SPOT). Those with a weight or a base above 0 are the strategy of services that name none."
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

  validation {
    condition     = alltrue([for provider in values(var.capacity_providers) : provider.weight >= 0 && provider.weight <= 1000 && provider.base >= 0 && provider.base <= 100000])
    error_message = "capacity_providers: weight must be 0 to 1000, base 0 to 100000."
  }

  validation {
    condition     = length(var.capacity_providers) <= 20
    error_message = "capacity_providers: ECS takes 20 at most."
  }

  validation {
    # ECS refuses a strategy that mixes the two kinds.
    condition = length(distinct([
      for name, provider in var.capacity_providers : contains(["FARGATE", "FARGATE_SPOT"], name) if provider.weight > 0 || provider.base > 0
    ])) <= 1
    error_message = "capacity_providers: a strategy is of groups or of Fargate, not both; give one kind weight = 0."
  }
}
