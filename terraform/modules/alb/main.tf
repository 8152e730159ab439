locals {
  tags  = merge(var.tags, { Environment = var.environment })
  https = var.certificate_arn != null
  ports = local.https ? toset(["80", "443"]) : toset(["80"])
}

resource "aws_lb" "this" {
  # checkov:skip=CKV_AWS_91:access_logs takes the bucket; there is none without one
  # checkov:skip=CKV2_AWS_28:a WAF is attached by whoever has one, by the output arn
  # checkov:skip=CKV2_AWS_20:the listener redirects whenever there is a certificate
  name                       = var.name
  load_balancer_type         = "application"
  internal                   = var.internal
  subnets                    = var.subnet_ids
  security_groups            = [aws_security_group.this.id]
  idle_timeout               = var.idle_timeout
  enable_deletion_protection = var.deletion_protection

  # Headers that are no HTTP are how requests are smuggled past a proxy.
  drop_invalid_header_fields = true

  tags = merge(local.tags, { Name = var.name })

  dynamic "access_logs" {
    for_each = var.access_logs == null ? [] : [var.access_logs]

    content {
      enabled = true
      bucket  = access_logs.value.bucket
      prefix  = access_logs.value.prefix
    }
  }
}

resource "aws_lb_target_group" "this" {
  for_each = var.target_groups

  # checkov:skip=CKV_AWS_378:HTTP from the balancer to its targets stays in the VPC; protocol = "HTTPS" is there for who wants more
  name        = each.key
  vpc_id      = var.vpc_id
  port        = each.value.port
  protocol    = each.value.protocol
  target_type = each.value.target_type

  # ECS stops a task only when its target has left, so every drain waits this long; with the default of 300 s a host
  # takes over five minutes to empty whatever it runs.
  deregistration_delay          = each.value.deregistration_delay
  slow_start                    = each.value.slow_start
  load_balancing_algorithm_type = each.value.algorithm

  tags = merge(local.tags, { Name = each.key })

  health_check {
    enabled             = true
    protocol            = each.value.protocol
    path                = each.value.health.path
    matcher             = each.value.health.codes
    interval            = each.value.health.interval
    timeout             = each.value.health.timeout
    healthy_threshold   = each.value.health.healthy_threshold
    unhealthy_threshold = each.value.health.unhealthy_threshold
  }

  dynamic "stickiness" {
    for_each = each.value.sticky_seconds == null ? [] : [each.value.sticky_seconds]

    content {
      type            = "lb_cookie"
      cookie_duration = stickiness.value
    }
  }
}
