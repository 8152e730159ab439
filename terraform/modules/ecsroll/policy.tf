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
  }

  needed = {
    always         = true
    alarms         = length(var.alarms) > 0
    parameters     = length(local.several["{image_parameter}"]) > 0
    templates      = length(local.several["{launch_template}"]) > 0
    configurations = var.launch_configurations
    launches       = length(local.several["{host_role}"]) > 0 && (length(local.several["{launch_template}"]) > 0 || var.launch_configurations)
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
