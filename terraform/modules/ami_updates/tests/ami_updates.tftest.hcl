mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  environment = "test"
  codebuild   = { source = "ecsroll==1.2.3" }
}

run "looks_and_tells_the_topic" {
  assert {
    condition     = output.command == "ecsroll check-ami --all-clusters --publish arn:aws:sns:us-east-1:123456789012:ecsroll-ami-updates --json"
    error_message = "What it finds goes to the topic."
  }
  assert {
    condition     = one([for statement in jsondecode(output.policy).Statement : statement.Resource if contains(statement.Action, "sns:Publish")]) == ["arn:aws:sns:us-east-1:123456789012:${aws_sns_topic.this.name}"]
    error_message = "The check must be allowed to publish to this topic."
  }
  assert {
    condition     = jsondecode(aws_sns_topic_policy.this.policy).Statement[0].Principal.AWS == module.check.role_arn
    error_message = "Only the check publishes."
  }
}

run "changes_nothing" {
  assert {
    condition     = alltrue([for action in flatten([for statement in jsondecode(output.policy).Statement : statement.Action]) : can(regex("^[a-z0-9]+:(Describe|List|Get)", action)) || action == "sns:Publish"])
    error_message = "A check reads, and tells."
  }
}

run "looks_at_the_named_clusters_only" {
  variables {
    clusters = ["demo"]
  }

  assert {
    condition     = one([for statement in jsondecode(output.policy).Statement : statement.Resource if contains(statement.Action, "ecs:ListContainerInstances")]) == ["arn:aws:ecs:us-east-1:123456789012:cluster/demo"]
    error_message = "The others' hosts are not its business."
  }
}

run "queue_is_subscribed_and_open_to_the_topic" {
  assert {
    condition     = aws_sns_topic_subscription.queue.endpoint == aws_sqs_queue.this.arn && aws_sns_topic_subscription.queue.topic_arn == aws_sns_topic.this.arn
    error_message = "ecsroll watch reads the queue."
  }
  assert {
    condition     = jsondecode(aws_sqs_queue_policy.this.policy).Statement[0].Condition.ArnEquals["aws:SourceArn"] == [aws_sns_topic.this.arn] && jsondecode(aws_sqs_queue_policy.this.policy).Statement[0].Principal.Service == "sns.amazonaws.com"
    error_message = "The topic may send, nobody else."
  }
  assert {
    condition     = length(aws_sns_topic_subscription.windows) == 0
    error_message = "AWS's topic only when asked for."
  }
}

run "windows_notices_come_from_aws" {
  variables {
    windows = true
  }

  assert {
    condition     = aws_sns_topic_subscription.windows[0].topic_arn == "arn:aws:sns:us-east-1:801119661308:ec2-windows-ami-update" && aws_sns_topic_subscription.windows[0].region == "us-east-1"
    error_message = "The subscription must live where AWS's topic does."
  }
  assert {
    condition     = contains(jsondecode(aws_sqs_queue_policy.this.policy).Statement[0].Condition.ArnEquals["aws:SourceArn"], "arn:aws:sns:us-east-1:801119661308:ec2-windows-ami-update")
    error_message = "AWS's topic must be let in."
  }
}

run "encrypted_at_rest" {
  command = plan

  assert {
    condition     = aws_sqs_queue.this.sqs_managed_sse_enabled
    error_message = "The queue is encrypted without being asked."
  }
}

run "tagged_with_the_environment" {
  command = plan

  assert {
    condition     = aws_sns_topic.this.tags.Environment == "test" && aws_sqs_queue.this.tags.Environment == "test"
    error_message = "The Environment tag on everything."
  }
}

run "refuses_no_place_to_run" {
  command = plan

  variables {
    codebuild = null
  }

  expect_failures = [var.fargate]
}

run "refuses_unknown_protocol" {
  command = plan

  variables {
    subscriptions = { oncall = { protocol = "sms", endpoint = "+491700000000" } }
  }

  expect_failures = [var.subscriptions]
}

run "reads_image_parameters_of_others_when_named" {
  command = plan

  variables {
    clusters             = ["demo"]
    image_parameter_arns = ["arn:aws:ssm:us-east-1:123456789012:parameter/images/web"]
  }

  assert {
    condition = one([for statement in jsondecode(output.policy).Statement : statement.Resource if contains(statement.Action, "ssm:ListTagsForResource")]) == [
    "arn:aws:ssm:us-east-1:123456789012:parameter/ecs-image/demo/*", "arn:aws:ssm:us-east-1:123456789012:parameter/images/web"]
    error_message = "Those of ecs_instances and those that are named, no other parameter of the account."
  }
}

run "everything_is_in_its_partition" {
  command = plan

  override_data {
    target = data.aws_partition.current
    values = { partition = "aws-us-gov", dns_suffix = "amazonaws.com" }
  }

  assert {
    condition     = !strcontains(output.policy, "arn:aws:")
    error_message = "No ARN of another partition."
  }
}

run "refuses_windows_notices_in_china" {
  command = plan

  override_data {
    target = data.aws_partition.current
    values = { partition = "aws-cn", dns_suffix = "amazonaws.com.cn" }
  }

  variables {
    windows = true
  }

  expect_failures = [aws_sns_topic_subscription.windows]
}
