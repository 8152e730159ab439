mock_provider "aws" {
  source = "./tests/mocks"
}

override_resource {
  target = aws_ecs_task_definition.this[0]
  values = {
    arn                  = "arn:aws:ecs:us-east-1:123456789012:task-definition/ecsroll-demo:3"
    arn_without_revision = "arn:aws:ecs:us-east-1:123456789012:task-definition/ecsroll-demo"
  }
}

variables {
  name        = "ecsroll-demo"
  environment = "test"
  command     = ["replace", "--cluster", "demo", "--window", "Mon-Fri 22:00-04:00 Europe/Berlin", "--yes", "--json"]
  policy      = "{\"Version\":\"2012-10-17\",\"Statement\":[]}"
  schedule    = { expression = "cron(0 3 ? * TUE *)" }
  fargate = {
    image       = "example.com/ecsroll:1.2.3"
    cluster_arn = "arn:aws:ecs:us-east-1:123456789012:cluster/demo"
    vpc_id      = "vpc-0123456789abcdef0"
    subnet_ids  = ["subnet-0123456789abcdef0"]
  }
}

run "runs_outside_the_hosts" {
  assert {
    condition     = aws_scheduler_schedule.this.target[0].ecs_parameters[0].launch_type == "FARGATE" && aws_ecs_task_definition.this[0].requires_compatibilities == toset(["FARGATE"])
    error_message = "A roll must not run on the hosts that it replaces."
  }
  assert {
    condition     = join(" ", jsondecode(aws_ecs_task_definition.this[0].container_definitions)[0].command) == join(" ", var.command) && jsondecode(aws_ecs_task_definition.this[0].container_definitions)[0].entryPoint == ["ecsroll"]
    error_message = "The command as given."
  }
}

run "has_time_to_give_back" {
  assert {
    condition     = jsondecode(aws_ecs_task_definition.this[0].container_definitions)[0].stopTimeout >= 30
    error_message = "SIGKILL must come after --stop-grace."
  }
}

run "schedule_may_start_just_this_task" {
  assert {
    condition     = jsondecode(aws_iam_role_policy.schedule.policy).Statement[0].Action == ["ecs:RunTask"] && jsondecode(aws_iam_role_policy.schedule.policy).Statement[0].Resource == ["arn:aws:ecs:us-east-1:123456789012:task-definition/ecsroll-demo:*"] && jsondecode(aws_iam_role_policy.schedule.policy).Statement[0].Condition.ArnEquals["ecs:cluster"] == "arn:aws:ecs:us-east-1:123456789012:cluster/demo"
    error_message = "This task in this cluster."
  }
  assert {
    condition     = jsondecode(aws_iam_role_policy.schedule.policy).Statement[1].Condition.StringEquals["iam:PassedToService"] == "ecs-tasks.amazonaws.com"
    error_message = "Roles are for tasks only."
  }
  assert {
    condition     = jsondecode(aws_iam_role.schedule.assume_role_policy).Statement[0].Condition.StringEquals["aws:SourceArn"] == aws_scheduler_schedule_group.this.arn
    error_message = "Only this schedule takes the role."
  }
}

run "nothing_reaches_the_task" {
  command = plan

  assert {
    condition     = aws_vpc_security_group_egress_rule.https[0].from_port == 443 && aws_vpc_security_group_egress_rule.https[0].to_port == 443 && aws_scheduler_schedule.this.target[0].ecs_parameters[0].network_configuration[0].assign_public_ip == false
    error_message = "HTTPS outward, nothing in."
  }
}

run "alarms_on_failure" {
  variables {
    alarm_topic_arns = ["arn:aws:sns:us-east-1:123456789012:alerts"]
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.failed.metric_name == one(aws_cloudwatch_log_metric_filter.failed.metric_transformation).name && aws_cloudwatch_metric_alarm.failed.namespace == one(aws_cloudwatch_log_metric_filter.failed.metric_transformation).namespace
    error_message = "The alarm must watch the filter's metric."
  }
  assert {
    condition     = strcontains(aws_cloudwatch_log_metric_filter.failed.pattern, "$.exit_code > 0") && strcontains(aws_cloudwatch_log_metric_filter.failed.pattern, "$.exit_code != 7")
    error_message = "Every exit code but 0 and 7 is a failure."
  }
  assert {
    condition     = alltrue([for alarm in [aws_cloudwatch_metric_alarm.failed, aws_cloudwatch_metric_alarm.not_started] : alarm.alarm_actions == toset(["arn:aws:sns:us-east-1:123456789012:alerts"])])
    error_message = "Alarms must reach the topic."
  }
  assert {
    condition     = aws_cloudwatch_metric_alarm.not_started.dimensions.ScheduleGroup == "ecsroll-demo"
    error_message = "A schedule that starts nothing must be noticed."
  }
  assert {
    condition     = aws_cloudwatch_event_target.task_failed[0].arn == "arn:aws:sns:us-east-1:123456789012:alerts" && jsondecode(aws_cloudwatch_event_rule.task_failed[0].event_pattern).detail.taskDefinitionArn == [{ prefix = "arn:aws:ecs:us-east-1:123456789012:task-definition/ecsroll-demo:" }]
    error_message = "A task that dies without a word must be noticed."
  }
}

run "alarms_are_silent_while_nothing_runs" {
  command = plan

  assert {
    condition     = alltrue([for alarm in [aws_cloudwatch_metric_alarm.failed, aws_cloudwatch_metric_alarm.not_started] : alarm.treat_missing_data == "notBreaching" && alarm.threshold == 0 && alarm.comparison_operator == "GreaterThanThreshold"])
    error_message = "One failure is enough, and no data is none."
  }
}

run "a_task_that_died_is_a_failure" {
  assert {
    condition     = jsondecode(aws_cloudwatch_event_rule.task_failed[0].event_pattern).detail["$or"] == [{ stopCode = ["TaskFailedToStart"] }, { containers = { exitCode = [{ anything-but = [0, 7] }] } }]
    error_message = "One that did not start, or ended with anything but 0 and 7 (another roll holds the cluster)."
  }
}

run "only_what_runs_takes_the_role" {
  command = plan

  assert {
    condition     = jsondecode(aws_iam_role.this.assume_role_policy).Statement[0].Principal.Service == "ecs-tasks.amazonaws.com" && jsondecode(aws_iam_role.this.assume_role_policy).Statement[0].Condition.StringEquals["aws:SourceAccount"] == "123456789012"
    error_message = "Tasks of this account."
  }
}

run "only_the_build_takes_the_role" {
  command = plan

  variables {
    fargate   = null
    codebuild = { source = "ecsroll==1.2.3" }
  }

  assert {
    condition     = jsondecode(aws_iam_role.this.assume_role_policy).Statement[0].Principal.Service == "codebuild.amazonaws.com" && jsondecode(aws_iam_role.this.assume_role_policy).Statement[0].Condition.ArnLike["aws:SourceArn"] == "arn:aws:codebuild:us-east-1:123456789012:project/ecsroll-demo"
    error_message = "This project, no other build of the account."
  }
  assert {
    condition     = aws_cloudwatch_metric_alarm.build_failed[0].treat_missing_data == "notBreaching"
    error_message = "No build is no failure."
  }
}

run "runs_in_codebuild" {
  variables {
    fargate          = null
    codebuild        = { source = "ecsroll==1.2.3" }
    alarm_topic_arns = ["arn:aws:sns:us-east-1:123456789012:alerts"]
  }

  assert {
    condition     = jsondecode(aws_codebuild_project.this[0].source[0].buildspec).phases.install.commands == ["pip install --quiet 'ecsroll==1.2.3'"]
    error_message = "The pinned source must be installed."
  }
  assert {
    condition     = jsondecode(aws_codebuild_project.this[0].source[0].buildspec).phases.build.commands == ["ecsroll 'replace' '--cluster' 'demo' '--window' 'Mon-Fri 22:00-04:00 Europe/Berlin' '--yes' '--json' || [ $? -eq 7 ]"]
    error_message = "Each argument must stay one word."
  }
  assert {
    condition     = aws_scheduler_schedule.this.target[0].arn == "arn:aws:scheduler:::aws-sdk:codebuild:startBuild" && jsondecode(aws_scheduler_schedule.this.target[0].input).ProjectName == "ecsroll-demo"
    error_message = "The schedule must start the build."
  }
  assert {
    condition     = jsondecode(aws_iam_role_policy.schedule.policy).Statement[0].Action == ["codebuild:StartBuild"] && jsondecode(aws_iam_role_policy.schedule.policy).Statement[0].Resource == [aws_codebuild_project.this[0].arn]
    error_message = "That build and no other."
  }
  assert {
    condition     = aws_cloudwatch_metric_alarm.build_failed[0].dimensions.ProjectName == "ecsroll-demo" && length(aws_ecs_task_definition.this) == 0
    error_message = "A build that fails before ecsroll speaks must be noticed."
  }
}

run "tagged_with_the_environment" {
  command = plan

  assert {
    condition     = alltrue([for resource in [aws_cloudwatch_log_group.this, aws_iam_role.this, aws_iam_role.schedule, aws_scheduler_schedule_group.this, aws_ecs_task_definition.this[0], aws_cloudwatch_metric_alarm.failed] : resource.tags.Environment == "test"])
    error_message = "The Environment tag on everything."
  }
}

run "refuses_both_places" {
  command = plan

  variables {
    codebuild = { source = "ecsroll==1.2.3" }
  }

  expect_failures = [var.fargate]
}

run "refuses_latest" {
  command = plan

  variables {
    fargate = {
      image       = "example.com/ecsroll:latest"
      cluster_arn = "arn:aws:ecs:us-east-1:123456789012:cluster/demo"
      vpc_id      = "vpc-0123456789abcdef0"
      subnet_ids  = ["subnet-0123456789abcdef0"]
    }
  }

  expect_failures = [var.fargate]
}

run "refuses_a_source_that_moves" {
  command = plan

  variables {
    fargate   = null
    codebuild = { source = "git+https://example.com/ecsroll@main" }
  }

  expect_failures = [var.codebuild]
}

run "refuses_a_command_without_json" {
  command = plan

  variables {
    command = ["replace", "--cluster", "demo", "--yes"]
  }

  expect_failures = [var.command]
}

run "refuses_no_schedule" {
  command = plan

  variables {
    schedule = { expression = "daily" }
  }

  expect_failures = [var.schedule]
}
