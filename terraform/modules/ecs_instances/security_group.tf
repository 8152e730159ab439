# Rules stand outside the group, so that others can add theirs.
resource "aws_security_group" "this" {
  # checkov:skip=CKV2_AWS_5:the launch template has it
  name_prefix = "${var.name}-hosts-"
  description = "Hosts of the ECS group ${var.name}"
  vpc_id      = var.vpc_id
  tags        = merge(local.tags, { Name = "${var.name}-hosts" })

  lifecycle {
    create_before_destroy = true
  }
}

# Security groups only: no range of addresses reaches a host.
resource "aws_vpc_security_group_ingress_rule" "this" {
  for_each = var.ingress

  security_group_id            = aws_security_group.this.id
  description                  = each.key
  referenced_security_group_id = each.value.security_group_id
  ip_protocol                  = each.value.protocol
  from_port                    = each.value.from_port
  to_port                      = each.value.to_port
  tags                         = merge(local.tags, { Name = each.key })
}

# Images come from anywhere, and tasks in bridge and host mode speak through the host.
resource "aws_vpc_security_group_egress_rule" "all" {
  # checkov:skip=CKV_AWS_382:see above; the way out is narrowed in the VPC, where it holds for tasks too
  security_group_id = aws_security_group.this.id
  description       = "Everything outward"
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "-1"
  tags              = local.tags
}
