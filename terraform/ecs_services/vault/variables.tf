variable "name" {
  description = "Name of the service, and the start of every name here."
  type        = string
  default     = "vault"

  validation {
    condition     = can(regex("^[a-zA-Z0-9-]{1,40}$", var.name))
    error_message = "name has 1 to 40 letters, digits and -."
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

variable "image" {
  description = "Image of Vault with its version."
  type        = string

  validation {
    condition     = can(regex("(:[0-9][A-Za-z0-9_.-]*|@sha256:[0-9a-f]{64})$", var.image))
    error_message = "image needs a version or a digest: Vault cannot go back to an older version's storage."
  }
}

variable "nodes" {
  description = "Nodes: one is active, the others stand by."
  type        = number
  default     = 2

  validation {
    condition     = var.nodes >= 2 && var.nodes <= 5
    error_message = "nodes must be 2 to 5."
  }
}

variable "subnet_ids" {
  description = "Private subnets of the tasks."
  type        = list(string)

  validation {
    condition     = length(var.subnet_ids) > 0
    error_message = "subnet_ids needs at least one subnet."
  }
}

variable "security_group_ids" {
  description = "Security groups of the tasks: 8200 from the load balancer, 8201 from each other."
  type        = list(string)

  validation {
    condition     = length(var.security_group_ids) > 0
    error_message = "security_group_ids needs at least one group."
  }
}

variable "target_group_arn" {
  description = "Target group (target_type ip, port 8200, protocol HTTPS with tls, health path as the output `health_path`); null for none."
  type        = string
  default     = null
}

variable "tls" {
  description = "Secrets (Secrets Manager) with certificate and key in PEM. Null only together with `plain_http`."
  type = object({
    cert_secret_arn = string
    key_secret_arn  = string
  })
  default = null

  validation {
    condition     = (var.tls == null) == var.plain_http
    error_message = "Give tls, or say plain_http = true: then secrets go in clear from the load balancer to the task."
  }
}

variable "plain_http" {
  description = "Whether Vault listens without TLS. Everything between load balancer and task, tokens included, is then in clear."
  type        = bool
  default     = false
  nullable    = false
}

variable "memory" {
  description = "Memory of a node in MiB."
  type        = number
  default     = 512
}

variable "fence" {
  description = "Whether nodes keep off hosts that a roll is about to replace; see ecs_service."
  type        = bool
  default     = true
  nullable    = false
}

variable "retention_days" {
  description = "How long the log is kept. With the audit device on stdout it holds the audit log."
  type        = number
  default     = 365
}
