resource "aws_iam_role" "this" {
  name_prefix = substr("${var.name}-hosts-", 0, 38)
  description = "Hosts of the ECS group ${var.name}"

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect = "Allow"
      Action = "sts:AssumeRole"
      # ec2.amazonaws.com.cn in China: one of the few services that have a name of their own there.
      Principal = { Service = "ec2.${data.aws_partition.current.dns_suffix}" }
    }]
  })

  tags = local.tags
}

resource "aws_iam_instance_profile" "this" {
  name_prefix = substr("${var.name}-hosts-", 0, 38)
  role        = aws_iam_role.this.name
  tags        = local.tags
}

# One attachment each: aws_iam_policy_attachment would take the policy away from every other role of the account.
resource "aws_iam_role_policy_attachment" "ecs" {
  role       = aws_iam_role.this.name
  policy_arn = "arn:${data.aws_partition.current.partition}:iam::aws:policy/service-role/AmazonEC2ContainerServiceforEC2Role"
}

resource "aws_iam_role_policy_attachment" "session" {
  count = var.session_access ? 1 : 0

  role       = aws_iam_role.this.name
  policy_arn = "arn:${data.aws_partition.current.partition}:iam::aws:policy/AmazonSSMManagedInstanceCore"
}

locals {
  # Keys are known before anything is made, policies need not be.
  policies = merge(
    var.policies,
    var.registry_credentials == null ? {} : { registry-credentials = module.ecs_config.policy },
    var.logs == null ? {} : { host-logs = var.logs.policy },
  )
}

resource "aws_iam_role_policy" "this" {
  for_each = local.policies

  name   = each.key
  role   = aws_iam_role.this.id
  policy = each.value
}
