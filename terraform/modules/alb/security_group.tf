resource "aws_security_group" "this" {
  # checkov:skip=CKV2_AWS_5:the load balancer has it
  name_prefix = "${var.name}-lb-"
  description = "Load balancer ${var.name}"
  vpc_id      = var.vpc_id
  tags        = merge(local.tags, { Name = "${var.name}-lb" })

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_vpc_security_group_ingress_rule" "cidr" {
  for_each = { for pair in setproduct(var.allow.cidrs, local.ports) : "${pair[0]} ${pair[1]}" => { cidr = pair[0], port = pair[1] } }

  security_group_id = aws_security_group.this.id
  description       = each.key
  cidr_ipv4         = each.value.cidr
  ip_protocol       = "tcp"
  from_port         = each.value.port
  to_port           = each.value.port
  tags              = local.tags
}

resource "aws_vpc_security_group_ingress_rule" "prefix_list" {
  for_each = { for pair in setproduct(var.allow.prefix_list_ids, local.ports) : "${pair[0]} ${pair[1]}" => { id = pair[0], port = pair[1] } }

  security_group_id = aws_security_group.this.id
  description       = each.key
  prefix_list_id    = each.value.id
  ip_protocol       = "tcp"
  from_port         = each.value.port
  to_port           = each.value.port
  tags              = local.tags
}

resource "aws_vpc_security_group_ingress_rule" "security_group" {
  for_each = { for pair in setproduct(keys(var.allow.security_group_ids), local.ports) : "${pair[0]} ${pair[1]}" => { name = pair[0], port = pair[1] } }

  security_group_id            = aws_security_group.this.id
  description                  = each.key
  referenced_security_group_id = var.allow.security_group_ids[each.value.name]
  ip_protocol                  = "tcp"
  from_port                    = each.value.port
  to_port                      = each.value.port
  tags                         = local.tags
}

resource "aws_vpc_security_group_egress_rule" "targets" {
  security_group_id = aws_security_group.this.id
  description       = "Targets in the VPC"
  cidr_ipv4         = var.vpc_cidr
  ip_protocol       = "tcp"
  from_port         = 1
  to_port           = 65535
  tags              = local.tags
}
