mock_provider "aws" {
  source = "./tests/mocks"
}

# A mock gives all rules one ARN; these tell them apart.
override_resource {
  target = aws_cloudwatch_event_rule.this["task_stopped"]
  values = { arn = "arn:aws:events:us-east-1:123456789012:rule/demo-ecs-task-stopped" }
}

override_resource {
  target = aws_cloudwatch_event_rule.this["instance_change"]
  values = { arn = "arn:aws:events:us-east-1:123456789012:rule/demo-ecs-instance-change" }
}

variables {
  cluster_name = "demo"
  environment  = "test"
}

run "rules_are_of_this_cluster_only" {
  command = plan

  assert {
    condition = alltrue([for name in ["task_stopped", "service_action", "instance_change"] :
    jsondecode(aws_cloudwatch_event_rule.this[name].event_pattern).detail.clusterArn == ["arn:aws:ecs:us-east-1:123456789012:cluster/demo"]])
    error_message = "Another cluster's events must not come."
  }
  assert {
    condition     = jsondecode(aws_cloudwatch_event_rule.this["deployment_failed"].event_pattern).resources == [{ prefix = "arn:aws:ecs:us-east-1:123456789012:service/demo/" }]
    error_message = "Deployments name no cluster; the service's ARN must be of this one, and not of one whose name begins the same."
  }
}

run "failed_tasks_are_seen_and_drained_ones_not" {
  command = plan

  assert {
    condition     = jsondecode(aws_cloudwatch_event_rule.this["task_stopped"].event_pattern).detail["$or"][0].stopCode == ["EssentialContainerExited", "TaskFailedToStart"] && jsondecode(aws_cloudwatch_event_rule.this["task_stopped"].event_pattern).detail["$or"][1].stoppedReason == [{ prefix = "Task failed" }]
    error_message = "Crashes, failed starts and failed health checks; no stop by a drain, a deployment or scaling."
  }
}

run "services_in_trouble_are_seen_and_steady_ones_not" {
  command = plan

  assert {
    condition     = jsondecode(aws_cloudwatch_event_rule.this["service_action"].event_pattern).detail.eventType == ["WARN", "ERROR"]
    error_message = "Tasks without a host and throttled starts, not every deployment that begins or is done."
  }
  assert {
    condition     = jsondecode(aws_cloudwatch_event_rule.this["deployment_failed"].event_pattern).detail.eventName == ["SERVICE_DEPLOYMENT_FAILED"]
    error_message = "Deployments that failed, not those that go on or are done."
  }
}

run "hosts_without_agent_and_drained_ones_are_seen" {
  command = plan

  assert {
    condition     = jsondecode(aws_cloudwatch_event_rule.this["instance_change"].event_pattern).detail["$or"] == [{ agentConnected = [false] }, { status = ["DRAINING"] }]
    error_message = "ECS tells of every task that starts or stops on a host; only these two say something about the host."
  }
}

run "all_rules_reach_the_queue" {
  assert {
    condition     = toset(keys(aws_cloudwatch_event_target.queue)) == toset(["task_stopped", "deployment_failed", "service_action", "instance_change"]) && alltrue([for target in aws_cloudwatch_event_target.queue : target.arn == aws_sqs_queue.this.arn])
    error_message = "ecsroll watch needs all four."
  }
}

run "alerts_reach_the_topic" {
  assert {
    condition     = toset(keys(aws_cloudwatch_event_target.topic)) == toset(["task_stopped", "deployment_failed", "service_action"]) && alltrue([for target in aws_cloudwatch_event_target.topic : target.arn == aws_sns_topic.this.arn])
    error_message = "People get failures, not every lost connection."
  }
}

run "topic_lets_the_rules_publish" {
  assert {
    condition     = jsondecode(aws_sns_topic_policy.this.policy).Statement[0].Principal.Service == "events.amazonaws.com" && jsondecode(aws_sns_topic_policy.this.policy).Statement[0].Action == "sns:Publish"
    error_message = "Without it EventBridge is refused silently."
  }
  assert {
    condition     = contains(jsondecode(aws_sns_topic_policy.this.policy).Statement[0].Condition.ArnEquals["aws:SourceArn"], "arn:aws:events:us-east-1:123456789012:rule/demo-ecs-task-stopped") && !contains(jsondecode(aws_sns_topic_policy.this.policy).Statement[0].Condition.ArnEquals["aws:SourceArn"], "arn:aws:events:us-east-1:123456789012:rule/demo-ecs-instance-change")
    error_message = "The alerts' rules and no others."
  }
}

run "topic_is_open_to_nobody_else" {
  assert {
    condition     = alltrue([for statement in jsondecode(aws_sns_topic_policy.this.policy).Statement : can(statement.Principal.Service) && can(statement.Condition)])
    error_message = "Every statement has a service and a condition."
  }
  assert {
    condition = { for statement in jsondecode(aws_sns_topic_policy.this.policy).Statement : statement.Sid => statement.Condition if statement.Sid != "Rules" } == {
      Alarms     = { StringEquals = { "aws:SourceAccount" = "123456789012" } }
      OtherRules = { ArnLike = { "aws:SourceArn" = "arn:aws:events:us-east-1:123456789012:rule/ecsroll-*" } }
    }
    error_message = "Alarms of this account, and the rules of its scheduled runs."
  }
}

run "queue_lets_the_rules_send" {
  assert {
    condition     = contains(jsondecode(aws_sqs_queue_policy.this["watch"].policy).Statement[0].Condition.ArnEquals["aws:SourceArn"], "arn:aws:events:us-east-1:123456789012:rule/demo-ecs-instance-change") && jsondecode(aws_sqs_queue_policy.this["watch"].policy).Statement[0].Action == "sqs:SendMessage"
    error_message = "All rules send to the queue."
  }
  assert {
    condition     = length(jsondecode(aws_sqs_queue_policy.this["watch"].policy).Statement) == 1
    error_message = "Nobody else sends unless asked for."
  }
}

run "queue_takes_ami_notices" {
  variables {
    ami_topic_arns = { ami = "arn:aws:sns:us-east-1:123456789012:ami" }
  }

  assert {
    condition     = aws_sns_topic_subscription.ami["ami"].protocol == "sqs" && aws_sns_topic_subscription.ami["ami"].endpoint == aws_sqs_queue.this.arn
    error_message = "The queue must be subscribed."
  }
  assert {
    condition     = jsondecode(aws_sqs_queue_policy.this["watch"].policy).Statement[1].Condition.ArnEquals["aws:SourceArn"] == ["arn:aws:sns:us-east-1:123456789012:ami"]
    error_message = "That topic may send, no other."
  }
}

run "nothing_is_lost" {
  assert {
    condition     = jsondecode(aws_sqs_queue.this.redrive_policy).deadLetterTargetArn == aws_sqs_queue.undelivered.arn && alltrue([for target in aws_cloudwatch_event_target.topic : one(target.dead_letter_config).arn == aws_sqs_queue.undelivered.arn])
    error_message = "What cannot be delivered must be kept."
  }
  assert {
    condition     = jsondecode(aws_sqs_queue.this.redrive_policy).maxReceiveCount == 5 && aws_sqs_queue.undelivered.message_retention_seconds == 1209600
    error_message = "What a watcher failed on five times must be put aside, and stay as long as SQS keeps anything."
  }
  assert {
    condition     = contains(jsondecode(aws_sqs_queue_policy.this["undelivered"].policy).Statement[0].Condition.ArnEquals["aws:SourceArn"], "arn:aws:events:us-east-1:123456789012:rule/demo-ecs-task-stopped")
    error_message = "The rules must be let into the queue that keeps it."
  }
}

run "subscriptions_of_every_kind" {
  variables {
    subscriptions = {
      oncall = { protocol = "email", endpoint = "oncall@example.com" }
      pager  = { protocol = "https", endpoint = "https://example.com/hook" }
      bus    = { protocol = "sqs", endpoint = "arn:aws:sqs:us-east-1:123456789012:bus" }
      bot    = { protocol = "lambda", endpoint = "arn:aws:lambda:us-east-1:123456789012:function:bot" }
    }
    slack = { ops = { team_id = "T0123ABCD", channel_id = "C0123ABCD" } }
  }

  assert {
    condition     = { for name, subscription in aws_sns_topic_subscription.this : name => subscription.protocol } == { oncall = "email", pager = "https", bus = "sqs", bot = "lambda" }
    error_message = "All of them on the topic."
  }
  assert {
    condition     = keys(aws_lambda_permission.this) == ["bot"] && aws_lambda_permission.this["bot"].function_name == "arn:aws:lambda:us-east-1:123456789012:function:bot" && aws_lambda_permission.this["bot"].source_arn == aws_sns_topic.this.arn
    error_message = "The topic must be let into the function."
  }
  assert {
    condition     = aws_chatbot_slack_channel_configuration.this["ops"].sns_topic_arns == toset([aws_sns_topic.this.arn]) && aws_chatbot_slack_channel_configuration.this["ops"].guardrail_policy_arns == tolist(["arn:aws:iam::aws:policy/AWSDenyAll"])
    error_message = "The channel reads the topic and can do nothing."
  }
}

run "encrypted_at_rest" {
  command = plan

  assert {
    condition     = aws_sqs_queue.this.sqs_managed_sse_enabled && aws_sqs_queue.undelivered.sqs_managed_sse_enabled
    error_message = "Queues are encrypted without being asked."
  }
}

run "encrypted_with_ones_own_key" {
  command = plan

  variables {
    kms_key_arn = "arn:aws:kms:us-east-1:123456789012:key/0a1b"
  }

  assert {
    condition     = alltrue([for resource in [aws_sns_topic.this, aws_sqs_queue.this, aws_sqs_queue.undelivered] : resource.kms_master_key_id == "arn:aws:kms:us-east-1:123456789012:key/0a1b"])
    error_message = "Topic and queues."
  }
}

run "tagged_with_the_environment" {
  command = plan

  assert {
    condition     = alltrue([for resource in concat([aws_sns_topic.this, aws_sqs_queue.this, aws_sqs_queue.undelivered], values(aws_cloudwatch_event_rule.this)) : resource.tags.Environment == "test"])
    error_message = "The Environment tag on everything."
  }
}

run "refuses_unknown_alert" {
  command = plan

  variables {
    alerts = ["everything"]
  }

  expect_failures = [var.alerts]
}

run "refuses_plain_http" {
  command = plan

  variables {
    subscriptions = { pager = { protocol = "https", endpoint = "http://example.com" } }
  }

  expect_failures = [var.subscriptions]
}

run "refuses_text_messages" {
  command = plan

  variables {
    subscriptions = { oncall = { protocol = "sms", endpoint = "+491700000000" } }
  }

  expect_failures = [var.subscriptions]
}
