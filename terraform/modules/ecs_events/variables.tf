variable "cluster_name" {
  description = "Cluster whose events are reported."
  type        = string

  validation {
    condition     = can(regex("^[a-zA-Z0-9_-]{1,40}$", var.cluster_name))
    error_message = "cluster_name has 1 to 40 letters, digits, _ and - here: it begins the names of rules, which have 64 at most."
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

variable "alerts" {
  description = "What goes to the topic, for people: `task_stopped`, `deployment_failed`, `service_action`, `instance_change`. The queue gets all four. The last one is rather for machines: agents lose their connection several times an hour and come back."
  type        = set(string)
  default     = ["task_stopped", "deployment_failed", "service_action"]
  nullable    = false

  validation {
    condition     = length(setsubtract(var.alerts, ["task_stopped", "deployment_failed", "service_action", "instance_change"])) == 0
    error_message = "alerts takes task_stopped, deployment_failed, service_action and instance_change."
  }
}

variable "subscriptions" {
  description = "Who gets the topic's messages, by a name of your own: protocol email, email-json, https, sqs or lambda, and the address, URL or ARN. For sqs the queue's own policy must let the topic send."
  type = map(object({
    protocol = string
    endpoint = string
  }))
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for subscription in values(var.subscriptions) : contains(["email", "email-json", "https", "sqs", "lambda"], subscription.protocol)])
    error_message = "subscriptions: protocol must be email, email-json, https, sqs or lambda; for chat use slack."
  }

  validation {
    condition = alltrue([for subscription in values(var.subscriptions) :
      startswith(subscription.protocol, "email") ? strcontains(subscription.endpoint, "@") :
      subscription.protocol == "https" ? startswith(subscription.endpoint, "https://") : startswith(subscription.endpoint, "arn:")
    ])
    error_message = "subscriptions: endpoint must be an address for email, a URL for https, an ARN for sqs and lambda."
  }
}

variable "slack" {
  description = "Slack channels that get the topic's messages, by a name of your own. The workspace must have been authorised once in the console of Amazon Q Developer in chat applications."
  type = map(object({
    team_id    = string
    channel_id = string
  }))
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for channel in values(var.slack) : can(regex("^[TE][A-Z0-9]+$", channel.team_id)) && can(regex("^[CG][A-Z0-9]+$", channel.channel_id))])
    error_message = "slack: team_id is like T0123ABCD, channel_id like C0123ABCD."
  }
}

variable "ami_topic_arns" {
  description = "Topics of AMI notices that the queue takes too, by a name of your own: `{ ami = module.ami_updates.topic_arn }`. One `ecsroll watch` then sees both."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for arn in values(var.ami_topic_arns) : can(regex("^arn:[^:]+:sns:", arn))])
    error_message = "ami_topic_arns must be ARNs of SNS topics."
  }
}

variable "kms_key_arn" {
  description = "Key for topic and queues. Its policy must let events.amazonaws.com, sns.amazonaws.com and cloudwatch.amazonaws.com use it (kms:Decrypt, kms:GenerateDataKey). Null: the queues are encrypted by SQS, the topic is not."
  type        = string
  default     = null

  validation {
    condition     = var.kms_key_arn == null || can(regex("^arn:[^:]+:kms:[^:]+:[0-9]{12}:key/", var.kms_key_arn))
    error_message = "kms_key_arn must be the ARN of a KMS key."
  }
}
