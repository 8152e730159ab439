# Three ways to fail, so three alarms: it ran and says so, it could not be started, it ended without a word.

resource "aws_cloudwatch_log_metric_filter" "failed" {
  name           = "${var.name}-failed"
  log_group_name = aws_cloudwatch_log_group.this.name

  # The result line. 7 means that another roll holds the cluster, which is no failure of this one.
  pattern = "{ ($.kind = \"result\") && ($.exit_code > 0) && ($.exit_code != 7) }"

  metric_transformation {
    namespace     = "ecsroll"
    name          = "${var.name}-failed"
    value         = "1"
    default_value = "0"
  }
}

resource "aws_cloudwatch_metric_alarm" "failed" {
  alarm_name          = "${var.name}-failed"
  alarm_description   = "ecsroll ${join(" ", var.command)} ended with an exit code other than 0. The log group ${aws_cloudwatch_log_group.this.name} says why and what to do; running it again goes on where it stopped."
  namespace           = "ecsroll"
  metric_name         = aws_cloudwatch_log_metric_filter.failed.metric_transformation[0].name
  statistic           = "Sum"
  period              = 300
  evaluation_periods  = 1
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_topic_arns
  tags                = local.tags
}

resource "aws_cloudwatch_metric_alarm" "not_started" {
  alarm_name          = "${var.name}-not-started"
  alarm_description   = "The schedule could not start ecsroll ${join(" ", var.command)}."
  namespace           = "AWS/Scheduler"
  metric_name         = "TargetErrorCount"
  dimensions          = { ScheduleGroup = aws_scheduler_schedule_group.this.name }
  statistic           = "Sum"
  period              = 300
  evaluation_periods  = 1
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_topic_arns
  tags                = local.tags
}

# A build that fails before ecsroll speaks: the installation, or a timeout.
resource "aws_cloudwatch_metric_alarm" "build_failed" {
  count = var.codebuild == null ? 0 : 1

  alarm_name          = "${var.name}-build-failed"
  alarm_description   = "A build of ${var.name} failed; if ecsroll came to speak, the log group ${aws_cloudwatch_log_group.this.name} holds what it said."
  namespace           = "AWS/CodeBuild"
  metric_name         = "FailedBuilds"
  dimensions          = { ProjectName = aws_codebuild_project.this[0].name }
  statistic           = "Sum"
  period              = 300
  evaluation_periods  = 1
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_topic_arns
  tags                = local.tags
}

# A task that did not start, or that died without a result: out of memory, image gone.
resource "aws_cloudwatch_event_rule" "task_failed" {
  count = var.fargate == null ? 0 : 1

  name        = "${var.name}-task-failed"
  description = "Tasks of ${var.name} that failed"

  event_pattern = jsonencode({
    source      = ["aws.ecs"]
    detail-type = ["ECS Task State Change"]
    detail = {
      clusterArn        = [var.fargate.cluster_arn]
      taskDefinitionArn = [{ prefix = "${aws_ecs_task_definition.this[0].arn_without_revision}:" }]
      lastStatus        = ["STOPPED"]
      "$or" = [
        { stopCode = ["TaskFailedToStart"] },
        { containers = { exitCode = [{ anything-but = [0, 7] }] } },
      ]
    }
  })

  tags = local.tags
}

resource "aws_cloudwatch_event_target" "task_failed" {
  count = var.fargate == null ? 0 : length(var.alarm_topic_arns)

  rule      = aws_cloudwatch_event_rule.task_failed[0].name
  target_id = "topic-${count.index}"
  arn       = var.alarm_topic_arns[count.index]
}
