variable "name" {
  description = "Name of topic and queue."
  type        = string
  default     = "ecsroll-ami-updates"

  validation {
    condition     = can(regex("^ecsroll-[a-zA-Z0-9-]{1,40}$", var.name))
    error_message = "name is ecsroll- and 1 to 40 letters, digits and -."
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

variable "clusters" {
  description = "Clusters to look at; empty for all of the region."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for name in var.clusters : can(regex("^[a-zA-Z0-9_-]{1,255}$", name))])
    error_message = "clusters must be names of clusters: 1 to 255 letters, digits, _ and -."
  }
}

variable "image_parameter_arns" {
  description = "Image parameters (`resolve:ssm:` in a template) that the check may read, besides those of the module ecs_instances and AWS's own."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for arn in var.image_parameter_arns : can(regex("^arn:[^:]+:ssm:[^:]+:[0-9]{12}:parameter/", arn))])
    error_message = "image_parameter_arns must be ARNs of SSM parameters."
  }
}

variable "windows" {
  description = "Whether the queue also takes AWS's own notices of Windows images, the only ones it has a topic for."
  type        = bool
  default     = false
  nullable    = false
}

variable "subscriptions" {
  description = "Who else gets the notices, by a name of your own: protocol email, email-json, https, sqs or lambda, and the address, URL or ARN. An sqs queue or a lambda must let the topic in by its own policy."
  type = map(object({
    protocol = string
    endpoint = string
  }))
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for subscription in values(var.subscriptions) : contains(["email", "email-json", "https", "sqs", "lambda"], subscription.protocol)])
    error_message = "subscriptions: protocol must be email, email-json, https, sqs or lambda."
  }
}

variable "kms_key_arn" {
  description = "Key for topic and queue. Its policy must let sns.amazonaws.com and the role of the check use it. Null: the queue is encrypted by SQS, the topic is not."
  type        = string
  default     = null

  validation {
    condition     = var.kms_key_arn == null || can(regex("^arn:[^:]+:kms:[^:]+:[0-9]{12}:key/", var.kms_key_arn))
    error_message = "kms_key_arn must be the ARN of a KMS key."
  }
}

variable "schedule" {
  description = "When it runs: a cron(...) or rate(...) expression of EventBridge Scheduler in a time zone."
  type = object({
    expression = string
    timezone   = optional(string, "UTC")
    enabled    = optional(bool, true)
  })
  default = { expression = "rate(6 hours)" }

  validation {
    condition     = can(regex("^(cron|rate)\\(.+\\)$", var.schedule.expression))
    error_message = "schedule.expression must be cron(...) or rate(...)."
  }
}

variable "fargate" {
  description = "Run as a Fargate task: an `image` whose `ecsroll` is on the path, a cluster to start it in (the one it rolls will do: a Fargate task is on none of its hosts), a VPC and its private subnets."
  type = object({
    image            = string
    cluster_arn      = string
    vpc_id           = string
    subnet_ids       = list(string)
    cpu              = optional(number, 512)
    memory           = optional(number, 1024)
    architecture     = optional(string, "X86_64")
    assign_public_ip = optional(bool, false)
  })
  default = null

  validation {
    condition     = (var.fargate == null) != (var.codebuild == null)
    error_message = "Give either fargate or codebuild: it must not run on the hosts that it replaces."
  }

  validation {
    condition     = var.fargate == null || can(regex("(:[A-Za-z0-9_][A-Za-z0-9_.-]*|@sha256:[0-9a-f]{64})$", var.fargate.image)) && !can(regex(":latest$", var.fargate.image))
    error_message = "fargate.image needs a tag other than latest, or a digest: what replaces hosts at night must be what was tried."
  }

  validation {
    condition     = var.fargate == null || contains(["X86_64", "ARM64"], try(var.fargate.architecture, ""))
    error_message = "fargate.architecture must be X86_64 or ARM64."
  }
}

variable "codebuild" {
  description = "Run in CodeBuild: `source` is what pip installs, pinned (`ecsroll==1.2.3`, or `git+https://...@COMMIT`)."
  type = object({
    source          = string
    image           = optional(string, "aws/codebuild/amazonlinux-x86_64-standard:5.0")
    compute_type    = optional(string, "BUILD_GENERAL1_SMALL")
    timeout_minutes = optional(number, 480)
  })
  default = null

  validation {
    condition     = var.codebuild == null || can(regex("^([A-Za-z0-9._-]+(\\[[a-z,]+\\])?==[0-9][A-Za-z0-9.+-]*|git\\+https://[^\\s'@]+@([0-9a-f]{40}|v[0-9][A-Za-z0-9.+-]*))$", var.codebuild.source))
    error_message = "codebuild.source must be pinned: NAME==VERSION, or git+https://HOST/PATH@ with a commit (40 hex digits) or a tag like v1.2.3."
  }

  validation {
    condition     = var.codebuild == null || try(var.codebuild.timeout_minutes >= 5 && var.codebuild.timeout_minutes <= 2160, false)
    error_message = "codebuild.timeout_minutes must be 5 to 2160."
  }
}

variable "alarm_topic_arns" {
  description = "SNS topics that hear of failures; empty for alarms that only show in CloudWatch. Their policies must let cloudwatch.amazonaws.com and events.amazonaws.com publish, as that of the module ecs_events does."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for arn in var.alarm_topic_arns : can(regex("^arn:[^:]+:sns:", arn))])
    error_message = "alarm_topic_arns must be ARNs of SNS topics."
  }
}

variable "log" {
  description = "The log group of the runs."
  type = object({
    retention_days = optional(number, 365)
    kms_key_arn    = optional(string)
  })
  default  = {}
  nullable = false

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log.retention_days)
    error_message = "log.retention_days must be one of 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288 and 3653."
  }
}
