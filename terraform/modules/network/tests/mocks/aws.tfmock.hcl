# Made by `terraform-offline mocks`: values the AWS provider accepts as its own.

mock_resource "aws_cloudwatch_log_group" {
  defaults = {
    arn = "arn:aws:logs:us-east-1:123456789012:log-group:cloudwatch-log-group-de89130b"
  }
}

mock_resource "aws_default_security_group" {
  defaults = {
    arn = "arn:aws:default:us-east-1:123456789012:security-group/default-security-group-44a9a849"
    id  = "sg-44a9a8499b12435eb"
  }
}

mock_resource "aws_eip" {
  defaults = {
    arn = "arn:aws:eip:us-east-1:123456789012:eip/eip-3938a4ff"
    id  = "eipalloc-3938a4ffec0f78b6b"
  }
}

mock_resource "aws_flow_log" {
  defaults = {
    arn = "arn:aws:flow:us-east-1:123456789012:log/flow-log-ec6c516f"
    id  = "fl-ec6c516fceafcb7e3"
  }
}

mock_resource "aws_iam_role" {
  defaults = {
    arn       = "arn:aws:iam::123456789012:role/iam-role-7e0c852c"
    unique_id = "AROA7E0C852CD00AC5E97"
  }
}

mock_resource "aws_internet_gateway" {
  defaults = {
    arn = "arn:aws:internet:us-east-1:123456789012:gateway/internet-gateway-a23a9a09"
    id  = "igw-a23a9a095bd03a1a2"
  }
}

mock_resource "aws_nat_gateway" {
  defaults = {
    id = "nat-7aa9745937c985452"
  }
}

mock_resource "aws_route" {
  defaults = {
    id = "r-rtb-0cabbc98a0de9d883"
  }
}

mock_resource "aws_route_table" {
  defaults = {
    arn = "arn:aws:route:us-east-1:123456789012:table/route-table-2c0904ca"
    id  = "rtb-2c0904caf38ff8076"
  }
}

mock_resource "aws_route_table_association" {
  defaults = {
    id = "rtbassoc-f26209d928c626831"
  }
}

mock_resource "aws_security_group" {
  defaults = {
    arn = "arn:aws:ec2:us-east-1:123456789012:security-group/sg-d8c732d5220da6a97"
    id  = "sg-d8c732d5220da6a97"
  }
}

mock_resource "aws_subnet" {
  defaults = {
    arn = "arn:aws:ec2:us-east-1:123456789012:subnet/subnet-52b895b032dcaa3d5"
    id  = "subnet-52b895b032dcaa3d5"
  }
}

mock_resource "aws_vpc" {
  defaults = {
    arn = "arn:aws:ec2:us-east-1:123456789012:vpc/vpc-853c712f8319391f4"
    id  = "vpc-853c712f8319391f4"
  }
}

mock_resource "aws_vpc_endpoint" {
  defaults = {
    arn = "arn:aws:vpc:us-east-1:123456789012:endpoint/vpc-endpoint-fe69460f"
    id  = "vpce-fe69460f6493adf73"
  }
}

mock_resource "aws_vpc_security_group_ingress_rule" {
  defaults = {
    arn = "arn:aws:vpc:us-east-1:123456789012:security-group-ingress-rule/vpc-security-group-ingress-rule-2e00a574"
    id  = "sgr-2e00a57419f80e6e2"
  }
}

mock_data "aws_caller_identity" {
  defaults = {
    account_id = "123456789012"
    arn        = "arn:aws:sts::123456789012:assumed-role/offline/test"
    id         = "123456789012"
    user_id    = "AROAOFFLINE:test"
  }
}

mock_data "aws_region" {
  defaults = {
    description = "Region us-east-1"
    endpoint    = "ec2.us-east-1.amazonaws.com"
    id          = "us-east-1"
    name        = "us-east-1"
    region      = "us-east-1"
  }
}
