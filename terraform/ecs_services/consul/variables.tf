variable "name" {
  description = "Name of the service, and the start of every name here."
  type        = string
  default     = "consul"

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

variable "mode" {
  description = "`server` (3 or 5 servers with their data on the host), or `dev` (one server that keeps nothing)."
  type        = string

  validation {
    condition     = contains(["server", "dev"], var.mode)
    error_message = "mode must be server or dev."
  }
}

variable "image" {
  description = "Image of Consul with its version."
  type        = string

  validation {
    condition     = can(regex("(:[0-9][A-Za-z0-9_.-]*|@sha256:[0-9a-f]{64})$", var.image))
    error_message = "image needs a version or a digest: servers of two versions must not meet by accident."
  }
}

variable "instance_group" {
  description = "Group of hosts (`name` of a module ecs_instances, which is the name of its capacity provider too) that servers run on, one on each. It is how they find each other, so let nothing but servers run there."
  type        = string
}

variable "servers" {
  description = "Servers in mode server: 3 (one may be lost) or 5 (two)."
  type        = number
  default     = 3

  validation {
    condition     = contains([3, 5], var.servers)
    error_message = "servers must be 3 or 5: an even number loses quorum as early as the odd one below it."
  }
}

variable "datacenter" {
  description = "Name of Consul's datacenter."
  type        = string
  default     = "dc1"

  validation {
    condition     = can(regex("^[a-z0-9-]+$", var.datacenter))
    error_message = "datacenter has lower-case letters, digits and -."
  }
}

variable "gossip_key_secret_arn" {
  description = "Secret (Secrets Manager) with the gossip key of `consul keygen`. Needed in mode server."
  type        = string
  default     = null

  validation {
    condition     = var.gossip_key_secret_arn == null || can(regex("^arn:[^:]+:secretsmanager:", var.gossip_key_secret_arn))
    error_message = "gossip_key_secret_arn must be the ARN of a secret."
  }

  validation {
    condition     = (var.mode == "server") == (var.gossip_key_secret_arn != null)
    error_message = "mode server needs gossip_key_secret_arn, mode dev takes none."
  }
}

variable "tls" {
  description = "Secrets with PEM files for TLS between servers and to clients: the CA, and a certificate and key for server.DATACENTER.consul. Null for none, which leaves RPC in clear inside the VPC."
  type = object({
    ca_secret_arn   = string
    cert_secret_arn = string
    key_secret_arn  = string
  })
  default = null

  validation {
    condition     = var.tls == null || var.mode == "server"
    error_message = "tls is for mode server."
  }
}

variable "clients" {
  description = "Whether a client agent runs on every host outside `instance_group` (a daemon on the host's network, ports 8301, 8500 and 8600)."
  type        = bool
  default     = false
  nullable    = false

  validation {
    condition     = !var.clients || (var.mode == "server" && var.tls == null)
    error_message = "clients needs mode server without tls: agents with certificates of their own are what hashicorp/consul-ecs makes."
  }
}

variable "fence" {
  description = "Whether servers keep off hosts that a roll is about to replace; see ecs_service."
  type        = bool
  default     = true
  nullable    = false
}

variable "memory" {
  description = "Memory of a server in MiB."
  type        = number
  default     = 512
}

variable "retention_days" {
  description = "How long the log is kept."
  type        = number
  default     = 365
}
