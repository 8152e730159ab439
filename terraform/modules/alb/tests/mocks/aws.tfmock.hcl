# Made by `terraform-offline mocks`: values the AWS provider accepts as its own.

mock_resource "aws_lb" {
  defaults = {
    arn        = "arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/app/lb-23f06a2d/23f06a2db9cb08e1"
    arn_suffix = "app/lb-23f06a2d/23f06a2db9cb08e1"
    dns_name   = "lb-23f06a2d-23f06a2d.us-east-1.elb.amazonaws.com"
    id         = "arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/app/lb-23f06a2d/23f06a2db9cb08e1"
    zone_id    = "Z23F06A2DB9CB0"
  }
}

mock_resource "aws_lb_listener" {
  defaults = {
    arn = "arn:aws:elasticloadbalancing:us-east-1:123456789012:listener/app/lb-listener-b729f111/b729f1112f147a57/b729f1112f147a57"
    id  = "arn:aws:elasticloadbalancing:us-east-1:123456789012:listener/app/lb-listener-b729f111/b729f1112f147a57/b729f1112f147a57"
  }
}

mock_resource "aws_lb_listener_rule" {
  defaults = {
    arn = "arn:aws:elasticloadbalancing:us-east-1:123456789012:listener-rule/app/lb-listener-rule-7c19e663/7c19e6631cebb051/7c19e6631cebb051/7c19e6631cebb051"
    id  = "arn:aws:elasticloadbalancing:us-east-1:123456789012:listener-rule/app/lb-listener-rule-7c19e663/7c19e6631cebb051/7c19e6631cebb051/7c19e6631cebb051"
  }
}

mock_resource "aws_lb_target_group" {
  defaults = {
    arn        = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/lb-target-group-e97e8df1/e97e8df10447bebe"
    arn_suffix = "targetgroup/lb-target-group-e97e8df1/e97e8df10447bebe"
    id         = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/lb-target-group-e97e8df1/e97e8df10447bebe"
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
