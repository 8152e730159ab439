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
