variable "cluster_name" {
  description = "Cluster to roll."
  type        = string

  validation {
    condition     = can(regex("^[a-zA-Z0-9-]{1,32}$", var.cluster_name))
    error_message = "cluster_name has 1 to 32 letters, digits and - here: names of roles and rules are made of it."
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

variable "groups" {
  description = "Groups to roll, in this order: `[module.general, module.spot]`, modules ecs_instances. For a group made some other way write the object down; what it does not have is null."
  type = list(object({
    autoscaling_group_name = string
    role_arn               = string
    image_parameter_arn    = optional(string)
    launch_template_arn    = optional(string)
  }))

  validation {
    condition     = length(var.groups) > 0 && length(distinct([for group in var.groups : group.autoscaling_group_name])) == length(var.groups)
    error_message = "groups needs at least one group, and each only once."
  }

  validation {
    condition     = alltrue([for group in var.groups : can(regex("^[^*?$]+$", group.autoscaling_group_name))])
    error_message = "groups: a name with *, ? or $ would be read as a pattern in the policy."
  }
}

variable "options" {
  description = "Options of `ecsroll replace`, each word an element: `[\"--max-surge\", \"2\", \"--window\", \"Mon-Fri 22:00-04:00 Europe/Berlin\", \"--outside-window\", \"exit\"]`."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition = length(setintersection(
      [for word in var.options : split("=", word)[0]],
      ["--cluster", "--asg", "--yes", "--json", "--alarm", "--tell", "--webhook-secret", "--region", "--profile", "--dry-run"],
    )) == 0
    error_message = "options must not hold --cluster, --asg, --yes, --json, --alarm, --tell and --webhook-secret, which come from other variables, nor --region, --profile and --dry-run."
  }
}

variable "alarms" {
  description = "CloudWatch alarms that stop a roll (`--alarm`)."
  type        = list(string)
  default     = []
  nullable    = false
}

variable "tell" {
  description = "Places that are told how a roll goes (`--tell`): `arn:aws:sns:...`, `bus:NAME`, `slack:REFERENCE`, `webhook:https://...` or `log`; a reference is `ssm:/parameter` or `secret:name`. The policy allows just these."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for place in var.tell : can(regex("^(arn:[^:]+:sns:[^:]+:[0-9]{12}:[A-Za-z0-9_.-]+|bus:[A-Za-z0-9_./:-]+|slack:(ssm|secret):[A-Za-z0-9_/.+=@:-]+|webhook:https://\\S+|log)$", place))])
    error_message = "tell: a place is arn:aws:sns:..., bus:NAME, slack:ssm:/parameter, slack:secret:name, webhook:https://... or log."
  }
}

variable "webhook_secret" {
  description = "The secret that signs what webhooks get (`--webhook-secret`): `ssm:/parameter` or `secret:name`."
  type        = string
  default     = null

  validation {
    condition     = var.webhook_secret == null || can(regex("^(ssm|secret):[A-Za-z0-9_/.+=@:-]+$", var.webhook_secret))
    error_message = "webhook_secret must be ssm:/parameter or secret:name: the secret itself belongs into neither a state nor a command."
  }
}

variable "queue_arns" {
  description = "Queues that `ecsroll watch` and `ecsroll events` may read with the output `policy`, such as `queue_arn` of ecs_events."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for arn in var.queue_arns : can(regex("^arn:[^:]+:sqs:[^:]+:[0-9]{12}:", arn))])
    error_message = "queue_arns must be ARNs of SQS queues."
  }
}

variable "watch_restarts" {
  description = "Whether `ecsroll watch --restarts` runs with the output `policy`: allows to read the metrics of CloudWatch."
  type        = bool
  default     = false
  nullable    = false
}

variable "launch_configurations" {
  description = "Whether groups still have launch configurations, which ecsroll copies: allows autoscaling:CreateLaunchConfiguration, and with it launches that no launch template binds."
  type        = bool
  default     = false
  nullable    = false
}

variable "schedule" {
  description = "When it runs: a cron(...) or rate(...) expression of EventBridge Scheduler in a time zone."
  type = object({
    expression = string
    timezone   = optional(string, "UTC")
    enabled    = optional(bool, true)
  })
  default = { expression = "cron(0 3 ? * TUE *)" }

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
