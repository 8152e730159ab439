# The rules. Where they go: topic.tf (people), queue.tf (`ecsroll watch`).
# https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs_cwe_events.html

data "aws_region" "current" {}

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

locals {
  tags    = merge(var.tags, { Environment = var.environment, Cluster = var.cluster_name })
  name    = "${var.cluster_name}-ecs"
  account = data.aws_caller_identity.current.account_id
  ecs     = "arn:${data.aws_partition.current.partition}:ecs:${data.aws_region.current.region}:${local.account}"
  cluster = "${local.ecs}:cluster/${var.cluster_name}"

  rules = {
    # A task that ended by itself, never started, or was stopped for its health. Stops by deployments, scaling and drains have
    # the code ServiceSchedulerInitiated too, hence the reason.
    task_stopped = {
      description = "Tasks of ${var.cluster_name} that failed"
      pattern = {
        source      = ["aws.ecs"]
        detail-type = ["ECS Task State Change"]
        detail = {
          clusterArn = [local.cluster]
          lastStatus = ["STOPPED"]
          "$or" = [
            { stopCode = ["EssentialContainerExited", "TaskFailedToStart"] },
            { stoppedReason = [{ prefix = "Task failed" }] },
          ]
        }
      }
    }

    # These name no cluster; the service's ARN in resources does.
    deployment_failed = {
      description = "Deployments of ${var.cluster_name} that failed"
      pattern = {
        source      = ["aws.ecs"]
        detail-type = ["ECS Deployment State Change"]
        resources   = [{ prefix = "${local.ecs}:service/${var.cluster_name}/" }]
        detail      = { eventName = ["SERVICE_DEPLOYMENT_FAILED"] }
      }
    }

    # Tasks that find no host, starts that are throttled, and the like.
    service_action = {
      description = "Services of ${var.cluster_name} in trouble"
      pattern = {
        source      = ["aws.ecs"]
        detail-type = ["ECS Service Action"]
        detail = {
          clusterArn = [local.cluster]
          eventType  = ["WARN", "ERROR"]
        }
      }
    }

    # ECS sends one of these whenever a task starts or stops on a host; only these two kinds say something about the host.
    instance_change = {
      description = "Hosts of ${var.cluster_name} that lost their agent or drain"
      pattern = {
        source      = ["aws.ecs"]
        detail-type = ["ECS Container Instance State Change"]
        detail = {
          clusterArn = [local.cluster]
          "$or" = [
            { agentConnected = [false] },
            { status = ["DRAINING"] },
          ]
        }
      }
    }
  }
}

resource "aws_cloudwatch_event_rule" "this" {
  for_each = local.rules

  name          = "${local.name}-${replace(each.key, "_", "-")}"
  description   = each.value.description
  event_pattern = jsonencode(each.value.pattern)
  tags          = local.tags
}

resource "aws_cloudwatch_event_target" "topic" {
  for_each = var.alerts

  rule      = aws_cloudwatch_event_rule.this[each.key].name
  target_id = "topic"
  arn       = aws_sns_topic.this.arn

  dead_letter_config {
    arn = aws_sqs_queue.undelivered.arn
  }
}

resource "aws_cloudwatch_event_target" "queue" {
  for_each = local.rules

  rule      = aws_cloudwatch_event_rule.this[each.key].name
  target_id = "queue"
  arn       = aws_sqs_queue.this.arn

  dead_letter_config {
    arn = aws_sqs_queue.undelivered.arn
  }
}
