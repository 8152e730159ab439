# Made by `terraform-offline mocks`: values the AWS provider accepts as its own.

mock_resource "aws_cloudwatch_log_group" {
  defaults = {
    arn = "arn:aws:logs:us-east-1:123456789012:log-group:cloudwatch-log-group-de89130b"
  }
}
