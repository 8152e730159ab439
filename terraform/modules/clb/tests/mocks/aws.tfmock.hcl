# Made by `terraform-offline mocks`: values the AWS provider accepts as its own.

mock_resource "aws_elb" {
  defaults = {
    arn      = "arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/elb-4211b404"
    dns_name = "elb-4211b404-4211b404.us-east-1.elb.amazonaws.com"
    zone_id  = "Z4211B40409B48"
  }
}

mock_resource "aws_security_group" {
  defaults = {
    arn = "arn:aws:ec2:us-east-1:123456789012:security-group/sg-d8c732d5220da6a97"
    id  = "sg-d8c732d5220da6a97"
  }
}

mock_resource "aws_vpc_security_group_egress_rule" {
  defaults = {
    arn = "arn:aws:vpc:us-east-1:123456789012:security-group-egress-rule/vpc-security-group-egress-rule-a42aff99"
    id  = "sgr-a42aff99940dd4fe6"
  }
}

mock_resource "aws_vpc_security_group_ingress_rule" {
  defaults = {
    arn = "arn:aws:vpc:us-east-1:123456789012:security-group-ingress-rule/vpc-security-group-ingress-rule-2e00a574"
    id  = "sgr-2e00a57419f80e6e2"
  }
}
