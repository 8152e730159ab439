# Made by `terraform-offline mocks`: values the AWS provider accepts as its own.

mock_resource "aws_appautoscaling_policy" {
  defaults = {
    arn = "arn:aws:appautoscaling:us-east-1:123456789012:policy/appautoscaling-policy-ae122ec3"
  }
}

mock_resource "aws_appautoscaling_target" {
  defaults = {
    arn = "arn:aws:appautoscaling:us-east-1:123456789012:target/appautoscaling-target-54d599af"
  }
}

mock_resource "aws_cloudwatch_log_group" {
  defaults = {
    arn = "arn:aws:logs:us-east-1:123456789012:log-group:cloudwatch-log-group-de89130b"
  }
}

mock_resource "aws_dynamodb_table" {
  defaults = {
    arn        = "arn:aws:dynamodb:us-east-1:123456789012:table/dynamodb-table-a0c9ce3a"
    stream_arn = "arn:aws:service:us-east-1:123456789012:stream/a0c9ce3a"
  }
}

mock_resource "aws_ecs_service" {
  defaults = {
    arn = "arn:aws:ecs:us-east-1:123456789012:service/ecs-service-8ec8f039"
    id  = "arn:aws:ecs:us-east-1:123456789012:service/ecs-service-8ec8f039"
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

mock_resource "aws_kms_alias" {
  defaults = {
    arn            = "arn:aws:kms:us-east-1:123456789012:kms-alias-70d6efa4"
    target_key_arn = "arn:aws:service:us-east-1:123456789012:target-key/70d6efa4"
  }
}

mock_resource "aws_kms_key" {
  defaults = {
    arn    = "arn:aws:kms:us-east-1:123456789012:key/00000000-0000-4000-8000-e2104d74a4ea"
    key_id = "00000000-0000-4000-8000-e2104d74a4ea"
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
