mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  name            = "demo"
  environment     = "test"
  vpc_id          = "vpc-0123456789abcdef0"
  vpc_cidr        = "10.0.0.0/16"
  subnet_ids      = ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"]
  certificate_arn = "arn:aws:acm:eu-central-1:123456789012:certificate/0a1b"
  target_groups   = { web = { priority = 10, paths = ["/*"] } }
}

run "deregistration_delay_is_short" {
  command = plan

  assert {
    condition     = tonumber(aws_lb_target_group.this["web"].deregistration_delay) == 30
    error_message = "Every drain waits for it: 30 s unless asked for more."
  }
}

run "http_redirects_to_https" {
  command = plan

  assert {
    condition     = aws_lb_listener.http.default_action[0].type == "redirect" && aws_lb_listener.http.default_action[0].redirect[0].protocol == "HTTPS"
    error_message = "With a certificate nothing is served in clear."
  }
  assert {
    condition     = aws_lb_listener.https[0].protocol == "HTTPS" && aws_lb_listener.https[0].ssl_policy == "ELBSecurityPolicy-TLS13-1-2-2021-06"
    error_message = "TLS 1.2 and newer."
  }
}

run "unknown_requests_get_404" {
  command = plan

  assert {
    condition     = aws_lb_listener.https[0].default_action[0].fixed_response[0].status_code == "404"
    error_message = "No target group is the default."
  }
}

run "plain_http_without_certificate" {
  variables {
    certificate_arn = null
  }

  assert {
    condition     = length(aws_lb_listener.https) == 0 && aws_lb_listener.http.default_action[0].type == "fixed-response" && aws_lb_listener_rule.this["web"].listener_arn == aws_lb_listener.http.arn
    error_message = "The rules must hang on the HTTP listener."
  }
}

run "targets_by_host_and_path" {
  variables {
    target_groups = { api = { priority = 5, hosts = ["api.example.com"], paths = ["/v1/*"], target_type = "ip", health = { path = "/healthz" } } }
  }

  assert {
    condition     = aws_lb_listener_rule.this["api"].action[0].target_group_arn == aws_lb_target_group.this["api"].arn && length(aws_lb_listener_rule.this["api"].condition) == 2
    error_message = "Host and path must both hold."
  }
  assert {
    condition     = aws_lb_target_group.this["api"].target_type == "ip" && aws_lb_target_group.this["api"].health_check[0].path == "/healthz"
    error_message = "The target group as asked for."
  }
}

run "nobody_may_call_by_default" {
  command = plan

  assert {
    condition     = length(aws_vpc_security_group_ingress_rule.cidr) + length(aws_vpc_security_group_ingress_rule.prefix_list) + length(aws_vpc_security_group_ingress_rule.security_group) == 0
    error_message = "Who may call must be said."
  }
}

run "callers_reach_both_ports" {
  command = plan

  variables {
    allow = { cidrs = ["192.0.2.0/24"], prefix_list_ids = ["pl-0123"], security_group_ids = { vpn = "sg-0123456789abcdef0" } }
  }

  assert {
    condition     = toset([for rule in aws_vpc_security_group_ingress_rule.cidr : rule.from_port]) == toset([80, 443]) && length(aws_vpc_security_group_ingress_rule.prefix_list) == 2 && length(aws_vpc_security_group_ingress_rule.security_group) == 2
    error_message = "HTTP (for the redirect) and HTTPS."
  }
}

run "reaches_targets_in_the_vpc_only" {
  command = plan

  assert {
    condition     = aws_vpc_security_group_egress_rule.targets.cidr_ipv4 == "10.0.0.0/16"
    error_message = "A load balancer speaks to nobody outside."
  }
}

run "hardened_by_default" {
  command = plan

  assert {
    condition     = aws_lb.this.drop_invalid_header_fields && aws_lb.this.enable_deletion_protection && !aws_lb.this.internal
    error_message = "Invalid headers dropped, deletion protected."
  }
}

run "access_logs_to_a_bucket" {
  command = plan

  variables {
    access_logs = { bucket = "acme-lb-logs", prefix = "demo" }
  }

  assert {
    condition     = aws_lb.this.access_logs[0].enabled && aws_lb.this.access_logs[0].bucket == "acme-lb-logs"
    error_message = "The bucket must get the logs."
  }
}

run "tagged_with_the_environment" {
  command = plan

  assert {
    condition     = alltrue([for resource in [aws_lb.this, aws_lb_target_group.this["web"], aws_lb_listener.http, aws_lb_listener.https[0], aws_lb_listener_rule.this["web"], aws_security_group.this] : resource.tags.Environment == "test"])
    error_message = "The Environment tag on everything."
  }
}

run "refuses_a_target_group_that_nothing_leads_to" {
  command = plan

  variables {
    target_groups = { web = { priority = 10 } }
  }

  expect_failures = [var.target_groups]
}

run "refuses_one_priority_twice" {
  command = plan

  variables {
    target_groups = { a = { priority = 10, paths = ["/a"] }, b = { priority = 10, paths = ["/b"] } }
  }

  expect_failures = [var.target_groups]
}

run "refuses_slow_start_without_round_robin" {
  command = plan

  variables {
    target_groups = { a = { priority = 10, paths = ["/a"], slow_start = 60 } }
  }

  expect_failures = [var.target_groups]
}

run "refuses_old_tls" {
  command = plan

  variables {
    ssl_policy = "ELBSecurityPolicy-2016-08"
  }

  expect_failures = [var.ssl_policy]
}

run "refuses_one_subnet" {
  command = plan

  variables {
    subnet_ids = ["subnet-0123456789abcdef0"]
  }

  expect_failures = [var.subnet_ids]
}

run "refuses_reserved_name" {
  command = plan

  variables {
    name = "internal-demo"
  }

  expect_failures = [var.name]
}
