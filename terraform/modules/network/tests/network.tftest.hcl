mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  name        = "demo"
  environment = "test"
  zones = {
    "eu-central-1a" = { private_cidr = "10.0.0.0/20", public_cidr = "10.0.240.0/24" }
    "eu-central-1b" = { private_cidr = "10.0.16.0/20", public_cidr = "10.0.241.0/24" }
  }
}

run "subnets_by_zone" {
  command = plan

  assert {
    condition     = aws_subnet.private["eu-central-1b"].cidr_block == "10.0.16.0/20" && aws_subnet.private["eu-central-1b"].availability_zone == "eu-central-1b"
    error_message = "A zone must get its own private range."
  }
  assert {
    condition     = alltrue([for subnet in aws_subnet.public : !subnet.map_public_ip_on_launch])
    error_message = "Nothing gets a public address for being launched in a public subnet."
  }
}

run "nat_per_zone_by_default" {
  # A mock gives every instance of a resource the same id; these tell them apart.
  override_resource {
    target = aws_nat_gateway.this["eu-central-1a"]
    values = { id = "nat-0000000000000000a" }
  }
  override_resource {
    target = aws_nat_gateway.this["eu-central-1b"]
    values = { id = "nat-0000000000000000b" }
  }

  assert {
    condition     = length(aws_nat_gateway.this) == 2
    error_message = "Each zone needs a NAT gateway of its own."
  }
  assert {
    condition     = aws_route.private["eu-central-1b"].nat_gateway_id == "nat-0000000000000000b" && aws_route.private["eu-central-1a"].nat_gateway_id == "nat-0000000000000000a"
    error_message = "A zone must go out through its own NAT gateway."
  }
}

run "one_nat_serves_all_zones" {
  variables {
    nat = "one"
  }

  assert {
    condition     = keys(aws_nat_gateway.this) == ["eu-central-1a"]
    error_message = "One NAT gateway, in the first zone."
  }
  assert {
    condition     = length(aws_route.private) == 2 && aws_route.private["eu-central-1b"].nat_gateway_id == aws_nat_gateway.this["eu-central-1a"].id
    error_message = "The other zones must go out through it."
  }
}

run "no_nat_with_endpoints" {
  command = plan

  variables {
    nat       = "none"
    endpoints = { interface = ["ecs", "ecs-agent", "ecs-telemetry", "ecr.api", "ecr.dkr", "logs"] }
  }

  assert {
    condition     = length(aws_nat_gateway.this) == 0 && length(aws_route.private) == 0 && length(aws_eip.nat) == 0
    error_message = "No NAT gateway, address or route out."
  }
  assert {
    condition     = length(aws_vpc_endpoint.interface) == 6
    error_message = "The endpoints must be there."
  }
}

run "refuses_no_nat_without_endpoints" {
  command = plan

  variables {
    nat = "none"
  }

  expect_failures = [var.nat]
}

run "endpoints_reachable_from_the_vpc_only" {
  variables {
    endpoints = { interface = ["ssm", "ssmmessages"] }
  }

  assert {
    condition     = aws_vpc_security_group_ingress_rule.endpoints[0].cidr_ipv4 == "10.0.0.0/16" && aws_vpc_security_group_ingress_rule.endpoints[0].from_port == 443 && aws_vpc_security_group_ingress_rule.endpoints[0].to_port == 443
    error_message = "HTTPS from the VPC, nothing else."
  }
  assert {
    condition     = alltrue([for endpoint in aws_vpc_endpoint.interface : endpoint.private_dns_enabled])
    error_message = "Clients must find the endpoint under the service's usual name."
  }
  assert {
    condition     = length(aws_vpc_endpoint.gateway["s3"].route_table_ids) > 0
    error_message = "S3 must be reached by the private route tables."
  }
}

run "default_security_group_is_shut" {
  command = plan

  assert {
    condition     = length(coalesce(aws_default_security_group.this.ingress, [])) == 0 && length(coalesce(aws_default_security_group.this.egress, [])) == 0
    error_message = "The VPC's default group must have no rules."
  }

  # What AWS answers for a group whose rules nobody gave; a mock would invent some.
  override_resource {
    target          = aws_default_security_group.this
    override_during = plan
    values          = { ingress = [], egress = [] }
  }
}

run "flow_logs_write_to_their_group_only" {
  assert {
    condition     = aws_flow_log.this[0].traffic_type == "ALL" && aws_flow_log.this[0].log_destination == aws_cloudwatch_log_group.flow[0].arn
    error_message = "All traffic must be logged to the module's group."
  }
  assert {
    condition     = jsondecode(aws_iam_role_policy.flow[0].policy).Statement[0].Resource == ["${aws_cloudwatch_log_group.flow[0].arn}:*"]
    error_message = "The role may write to that group only."
  }
  assert {
    condition     = jsondecode(aws_iam_role.flow[0].assume_role_policy).Statement[0].Condition.StringEquals["aws:SourceAccount"] == "123456789012"
    error_message = "Only this account's flow logs may take the role."
  }
}

run "flow_logs_can_be_left_out" {
  command = plan

  variables {
    flow_logs = null
  }

  assert {
    condition     = length(aws_flow_log.this) == 0 && length(aws_iam_role.flow) == 0
    error_message = "Nothing of the flow logs may remain."
  }
}

run "tagged_with_the_environment" {
  command = plan

  variables {
    tags = { Team = "platform" }
  }

  assert {
    condition     = alltrue([for resource in concat([aws_vpc.this, aws_internet_gateway.this, aws_route_table.public, aws_cloudwatch_log_group.flow[0]], values(aws_subnet.private), values(aws_nat_gateway.this)) : resource.tags.Environment == "test" && resource.tags.Team == "platform"])
    error_message = "The Environment tag and the caller's tags belong on everything."
  }
}

run "refuses_a_subnet_outside_the_vpc" {
  command = plan

  variables {
    zones = { "eu-central-1a" = { private_cidr = "10.1.0.0/20", public_cidr = "10.0.240.0/24" } }
  }

  expect_failures = [var.zones]
}

run "refuses_what_is_no_zone" {
  command = plan

  variables {
    zones = { "a" = { private_cidr = "10.0.0.0/20", public_cidr = "10.0.240.0/24" } }
  }

  expect_failures = [var.zones]
}

run "refuses_unknown_nat" {
  command = plan

  variables {
    nat = "two"
  }

  expect_failures = [var.nat]
}

run "refuses_unknown_endpoint" {
  command = plan

  variables {
    endpoints = { interface = ["ecss"] }
  }

  expect_failures = [var.endpoints]
}

run "refuses_unknown_traffic" {
  command = plan

  variables {
    flow_logs = { traffic = "SOME" }
  }

  expect_failures = [var.flow_logs]
}
