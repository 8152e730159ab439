# Made by `terraform-offline mocks`: values the AWS provider accepts as its own.

mock_resource "aws_cloudwatch_event_rule" {
  defaults = {
    arn = "arn:aws:events:us-east-1:123456789012:rule/cloudwatch-event-rule-ff1fdecb"
  }
}

mock_resource "aws_cloudwatch_log_group" {
  defaults = {
    arn = "arn:aws:logs:us-east-1:123456789012:log-group:cloudwatch-log-group-de89130b"
  }
}

mock_resource "aws_cloudwatch_metric_alarm" {
  defaults = {
    arn = "arn:aws:cloudwatch:us-east-1:123456789012:alarm:cloudwatch-metric-alarm-3362e611"
  }
}

mock_resource "aws_codebuild_project" {
  defaults = {
    arn = "arn:aws:codebuild:us-east-1:123456789012:project/codebuild-project-9aa603c5"
  }
}

mock_resource "aws_ecs_task_definition" {
  defaults = {
    arn = "arn:aws:ecs:us-east-1:123456789012:task-definition/ecs-task-definition-ff5b9eb2:1"
  }
}

mock_resource "aws_iam_role" {
  defaults = {
    arn       = "arn:aws:iam::123456789012:role/iam-role-7e0c852c"
    unique_id = "AROA7E0C852CD00AC5E97"
  }
}

mock_resource "aws_scheduler_schedule" {
  defaults = {
    arn = "arn:aws:scheduler:us-east-1:123456789012:schedule/default/scheduler-schedule-5668782a"
  }
}

mock_resource "aws_scheduler_schedule_group" {
  defaults = {
    arn = "arn:aws:scheduler:us-east-1:123456789012:schedule-group/scheduler-schedule-group-9af35d6b"
  }
}

mock_resource "aws_security_group" {
  defaults = {
    arn = "arn:aws:ec2:us-east-1:123456789012:security-group/sg-d8c732d5220da6a97"
    id  = "sg-d8c732d5220da6a97"
  }
}

mock_resource "aws_sns_topic" {
  defaults = {
    arn = "arn:aws:sns:us-east-1:123456789012:sns-topic-c712cea9"
    id  = "arn:aws:sns:us-east-1:123456789012:sns-topic-c712cea9"
  }
}

mock_resource "aws_sns_topic_subscription" {
  defaults = {
    arn = "arn:aws:sns:us-east-1:123456789012:sns-topic-subscription-85d520ee:00000000-0000-4000-8000-85d520ee6bd6"
    id  = "arn:aws:sns:us-east-1:123456789012:sns-topic-subscription-85d520ee:00000000-0000-4000-8000-85d520ee6bd6"
  }
}

mock_resource "aws_sqs_queue" {
  defaults = {
    arn = "arn:aws:sqs:us-east-1:123456789012:sqs-queue-a4753650"
    url = "https://sqs.us-east-1.amazonaws.com/123456789012/sqs-queue-a4753650"
  }
}

mock_resource "aws_vpc_security_group_egress_rule" {
  defaults = {
    arn = "arn:aws:vpc:us-east-1:123456789012:security-group-egress-rule/vpc-security-group-egress-rule-a42aff99"
    id  = "sgr-a42aff99940dd4fe6"
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

mock_data "aws_partition" {
  defaults = {
    dns_suffix         = "amazonaws.com"
    id                 = "aws"
    partition          = "aws"
    reverse_dns_prefix = "com.amazonaws"
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
