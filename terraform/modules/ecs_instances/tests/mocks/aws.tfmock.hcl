# Made by `terraform-offline mocks`: values the AWS provider accepts as its own.

mock_resource "aws_autoscaling_group" {
  defaults = {
    arn = "arn:aws:autoscaling:us-east-1:123456789012:autoScalingGroup:00000000-0000-4000-8000-c13a4d60b1d8:autoScalingGroupName/autoscaling-group-c13a4d60"
  }
}

mock_resource "aws_ecs_capacity_provider" {
  defaults = {
    arn = "arn:aws:ecs:us-east-1:123456789012:capacity-provider/ecs-capacity-provider-2aacfba6"
    id  = "arn:aws:ecs:us-east-1:123456789012:capacity-provider/ecs-capacity-provider-2aacfba6"
  }
}

mock_resource "aws_iam_instance_profile" {
  defaults = {
    arn       = "arn:aws:iam::123456789012:instance-profile/iam-instance-profile-a7df257b"
    unique_id = "AROAA7DF257BC2B43C93B"
  }
}

mock_resource "aws_iam_role" {
  defaults = {
    arn       = "arn:aws:iam::123456789012:role/iam-role-7e0c852c"
    unique_id = "AROA7E0C852CD00AC5E97"
  }
}

mock_resource "aws_launch_template" {
  defaults = {
    arn             = "arn:aws:ec2:us-east-1:123456789012:launch-template/lt-72e1b1c1d3388274d"
    default_version = 1
    id              = "lt-72e1b1c1d3388274d"
    latest_version  = 1
  }
}

mock_resource "aws_security_group" {
  defaults = {
    arn = "arn:aws:ec2:us-east-1:123456789012:security-group/sg-d8c732d5220da6a97"
    id  = "sg-d8c732d5220da6a97"
  }
}

mock_resource "aws_ssm_parameter" {
  defaults = {
    arn    = "arn:aws:ssm:us-east-1:123456789012:parameter/ssm-parameter-2dab3ff3"
    key_id = "00000000-0000-4000-8000-2dab3ff3d4d4"
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

mock_data "aws_default_tags" {
  defaults = {
    id   = "aws"
    tags = {}
  }
}

mock_data "aws_partition" {
  defaults = {
    dns_suffix         = "amazonaws.com"
    id                 = "aws"
    partition          = "aws"
    reverse_dns_prefix = "com.amazonaws"
  }
}

mock_data "aws_ssm_parameter" {
  defaults = {
    arn            = "arn:aws:ssm:us-east-1:123456789012:parameter/ssm-parameter-2dab3ff3"
    id             = "/aws/service/ecs/optimized-ami/amazon-linux-2023/recommended/image_id"
    insecure_value = "ami-037ac58a891fc2277"
    type           = "String"
    value          = "ami-037ac58a891fc2277"
    version        = 1
  }
}
