# The least that `ecsroll replace` and everything after it (status, abort, rollback) needs. permissions.json is ecsroll's own table
# of the calls that its code makes and the actions that AWS checks behind them, each with its reason; `ecsroll iam-policy`
# prints the policy that is made of it here. https://docs.aws.amazon.com/service-authorization/latest/reference/

data "aws_region" "current" {}

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

locals {
  # Words in braces that stand for one thing are filled in before the table is read ...
  once = {
    "{partition}" = data.aws_partition.current.partition
    "{region}"    = data.aws_region.current.region
    "{account}"   = data.aws_caller_identity.current.account_id
    "{cluster}"   = var.cluster_name
  }
  table = jsondecode(join("", [
    for part in regexall("\\{\\w+\\}|[^{]+|\\{", file("${path.module}/permissions.json")) : lookup(local.once, part, part)
  ]))

  # ... those that stand for several make a value of each.
  several = {
    "{group}"           = [for group in var.groups : group.autoscaling_group_name]
    "{image_parameter}" = compact([for group in var.groups : group.image_parameter_arn])
    # A group that launches by a parameter keeps its template as it is.
    "{launch_template}" = compact([for group in var.groups : group.launch_template_arn if group.image_parameter_arn == null])
    "{host_role}"       = distinct([for group in var.groups : group.role_arn if group.image_parameter_arn == null])
    # What EC2 is called where a role is passed to it: in China by either name.
    "{ec2}" = data.aws_partition.current.partition == "aws-cn" ? ["ec2.amazonaws.com", "ec2.amazonaws.com.cn"] : ["ec2.amazonaws.com"]

    # What is named by an ARN is that; a secret's ARN ends in six characters that Secrets Manager makes up.
    "{queue}"            = var.queue_arns
    "{topic}"            = [for place in var.tell : place if startswith(place, "arn:")]
    "{bus}"              = [for place in local.names["bus"] : startswith(place, "arn:") ? place : "${local.here["events"]}:event-bus/${place}"]
    "{secret_parameter}" = [for name in local.names["ssm"] : startswith(name, "arn:") ? name : "${local.here["ssm"]}:parameter/${trimprefix(name, "/")}"]
    "{secret}"           = [for name in local.names["secret"] : startswith(name, "arn:") ? name : "${local.here["secretsmanager"]}:secret:${name}-??????"]
  }
  here = { for service in ["events", "ssm", "secretsmanager"] : service =>
    "arn:${data.aws_partition.current.partition}:${service}:${data.aws_region.current.region}:${data.aws_caller_identity.current.account_id}"
  }
  # References to secrets, and buses: a kind, a colon, a name.
  named = concat(compact([var.webhook_secret]), [for place in var.tell : trimprefix(place, "slack:")])
  names = { for kind in ["bus", "ssm", "secret"] : kind => [for word in local.named : trimprefix(word, "${kind}:") if startswith(word, "${kind}:")] }

  needed = {
    always         = true
    alarms         = length(var.alarms) > 0
    parameters     = length(local.several["{image_parameter}"]) > 0
    templates      = length(local.several["{launch_template}"]) > 0
    configurations = var.launch_configurations
    launches       = length(local.several["{host_role}"]) > 0 && (length(local.several["{launch_template}"]) > 0 || var.launch_configurations)

    queues              = length(local.several["{queue}"]) > 0
    restarts            = var.watch_restarts
    topics              = length(local.several["{topic}"]) > 0
    buses               = length(local.several["{bus}"]) > 0
    referred_parameters = length(local.several["{secret_parameter}"]) > 0
    referred_secrets    = length(local.several["{secret}"]) > 0
  }

  statements = [for entry in local.table : {
    Sid      = entry.Sid
    Effect   = "Allow"
    Action   = keys(entry.Why)
    Resource = flatten([for text in entry.Resource : [for value in lookup(local.several, try(regex("\\{\\w+\\}", text), ""), [""]) : replace(text, "/\\{\\w+\\}/", value)]])
    Condition = {
      for operator, keys in entry.Condition : operator => {
        for key, text in keys : key => flatten([for value in lookup(local.several, try(regex("\\{\\w+\\}", text), ""), [""]) : replace(text, "/\\{\\w+\\}/", value)])
      }
    }
  } if local.needed[entry.When]]

  # An empty condition is no condition.
  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [for statement in local.statements : { for key, value in statement : key => value if key != "Condition" || length(keys(statement.Condition)) > 0 }]
  })
}
