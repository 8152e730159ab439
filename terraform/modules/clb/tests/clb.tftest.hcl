mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  name        = "demo"
  environment = "test"
  vpc_id      = "vpc-0123456789abcdef0"
  vpc_cidr    = "10.0.0.0/16"
  subnet_ids  = ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"]
  listeners   = { "80" = { instance_port = 8080 } }
  health      = { target = "HTTP:8080/healthz" }
}

run "connections_drain_and_not_for_long" {
  command = plan

  assert {
    condition     = aws_elb.this.connection_draining && aws_elb.this.connection_draining_timeout == 30
    error_message = "Connections must drain; every drain of a host waits for it, so 30 s."
  }
}

run "listens_as_asked" {
  command = plan

  variables {
    listeners = { "443" = { protocol = "HTTPS", instance_port = 8080, certificate_arn = "arn:aws:acm:eu-central-1:123456789012:certificate/0a1b" } }
    allow     = { cidrs = ["192.0.2.0/24"] }
  }

  assert {
    condition     = one(aws_elb.this.listener).lb_port == 443 && one(aws_elb.this.listener).ssl_certificate_id == "arn:aws:acm:eu-central-1:123456789012:certificate/0a1b"
    error_message = "The listener with its certificate."
  }
  assert {
    condition     = aws_vpc_security_group_ingress_rule.cidr["192.0.2.0/24 443"].to_port == 443
    error_message = "Callers must reach it."
  }
}

run "nobody_may_call_by_default" {
  command = plan

  assert {
    condition     = length(aws_vpc_security_group_ingress_rule.cidr) + length(aws_vpc_security_group_ingress_rule.prefix_list) + length(aws_vpc_security_group_ingress_rule.security_group) == 0
    error_message = "Who may call must be said."
  }
}

run "reaches_hosts_in_the_vpc_only" {
  command = plan

  assert {
    condition     = aws_vpc_security_group_egress_rule.targets.cidr_ipv4 == "10.0.0.0/16"
    error_message = "A load balancer speaks to nobody outside."
  }
}

run "tagged_with_the_environment" {
  command = plan

  assert {
    condition     = aws_elb.this.tags.Environment == "test" && aws_security_group.this.tags.Environment == "test"
    error_message = "The Environment tag on everything."
  }
}

run "refuses_https_without_certificate" {
  command = plan

  variables {
    listeners = { "443" = { protocol = "HTTPS", instance_port = 8080 } }
  }

  expect_failures = [var.listeners]
}

run "refuses_unknown_health_target" {
  command = plan

  variables {
    health = { target = "8080" }
  }

  expect_failures = [var.health]
}
