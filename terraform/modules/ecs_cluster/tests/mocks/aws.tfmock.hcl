# Made by `terraform-offline mocks`: values the AWS provider accepts as its own.

mock_resource "aws_cloudwatch_log_group" {
  defaults = {
    arn = "arn:aws:logs:us-east-1:123456789012:log-group:cloudwatch-log-group-de89130b"
  }
}

mock_resource "aws_ecs_cluster" {
  defaults = {
    arn = "arn:aws:ecs:us-east-1:123456789012:cluster/ecs-cluster-28d68eb3"
    id  = "arn:aws:ecs:us-east-1:123456789012:cluster/ecs-cluster-28d68eb3"
  }
}

mock_resource "aws_service_discovery_http_namespace" {
  defaults = {
    arn = "arn:aws:servicediscovery:us-east-1:123456789012:namespace/ns-f37ec22660e7a5c5"
    id  = "ns-f37ec22660e7a5c53"
  }
}
