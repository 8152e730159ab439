locals {
  tags = merge(var.tags, { Environment = var.environment })
}

resource "aws_elb" "this" {
  # checkov:skip=CKV_AWS_92:access_logs takes the bucket; there is none without one
  # checkov:skip=CKV_AWS_376:TLS is a choice of the listeners
  name                      = var.name
  internal                  = var.internal
  subnets                   = var.subnet_ids
  security_groups           = [aws_security_group.this.id]
  cross_zone_load_balancing = true
  idle_timeout              = var.idle_timeout
  desync_mitigation_mode    = "defensive"

  # Without it a host's open connections are cut when it leaves.
  connection_draining         = true
  connection_draining_timeout = var.draining_timeout

  tags = merge(local.tags, { Name = var.name })

  dynamic "listener" {
    for_each = var.listeners

    content {
      lb_port            = tonumber(listener.key)
      lb_protocol        = listener.value.protocol
      instance_port      = listener.value.instance_port
      instance_protocol  = listener.value.instance_protocol
      ssl_certificate_id = listener.value.certificate_arn
    }
  }

  health_check {
    target              = var.health.target
    interval            = var.health.interval
    timeout             = var.health.timeout
    healthy_threshold   = var.health.healthy_threshold
    unhealthy_threshold = var.health.unhealthy_threshold
  }

  dynamic "access_logs" {
    for_each = var.access_logs == null ? [] : [var.access_logs]

    content {
      enabled       = true
      bucket        = access_logs.value.bucket
      bucket_prefix = access_logs.value.prefix
    }
  }

  lifecycle {
    # ECS registers the hosts of the service's tasks.
    ignore_changes = [instances]
  }
}

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
  for_each = { for pair in setproduct(var.allow.cidrs, keys(var.listeners)) : "${pair[0]} ${pair[1]}" => { cidr = pair[0], port = tonumber(pair[1]) } }

  security_group_id = aws_security_group.this.id
  description       = each.key
  cidr_ipv4         = each.value.cidr
  ip_protocol       = "tcp"
  from_port         = each.value.port
  to_port           = each.value.port
  tags              = local.tags
}

resource "aws_vpc_security_group_ingress_rule" "prefix_list" {
  for_each = { for pair in setproduct(var.allow.prefix_list_ids, keys(var.listeners)) : "${pair[0]} ${pair[1]}" => { id = pair[0], port = tonumber(pair[1]) } }

  security_group_id = aws_security_group.this.id
  description       = each.key
  prefix_list_id    = each.value.id
  ip_protocol       = "tcp"
  from_port         = each.value.port
  to_port           = each.value.port
  tags              = local.tags
}

resource "aws_vpc_security_group_ingress_rule" "security_group" {
  for_each = { for pair in setproduct(keys(var.allow.security_group_ids), keys(var.listeners)) : "${pair[0]} ${pair[1]}" => { name = pair[0], port = tonumber(pair[1]) } }

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
  description       = "Hosts in the VPC"
  cidr_ipv4         = var.vpc_cidr
  ip_protocol       = "tcp"
  from_port         = 1
  to_port           = 65535
  tags              = local.tags
}
