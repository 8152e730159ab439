locals {
  tags = merge(var.tags, { Environment = var.environment, Cluster = var.name })

  strategy = { for name, provider in var.capacity_providers : name => provider if provider.weight > 0 || provider.base > 0 }
}

resource "aws_ecs_cluster" "this" {
  # checkov:skip=CKV_AWS_65:on by default; container_insights = "disabled" must be asked for
  # checkov:skip=CKV_AWS_224:the session is encrypted in flight anyway; a key of one's own is given as exec_logging.kms_key_arn
  name = var.name
  tags = local.tags

  setting {
    name  = "containerInsights"
    value = var.container_insights
  }

  dynamic "configuration" {
    for_each = var.exec_logging == null ? [] : [1]

    content {
      execute_command_configuration {
        logging    = "OVERRIDE"
        kms_key_id = var.exec_logging.kms_key_arn

        log_configuration {
          cloud_watch_log_group_name     = aws_cloudwatch_log_group.exec[0].name
          cloud_watch_encryption_enabled = var.exec_logging.kms_key_arn != null
        }
      }
    }
  }

  dynamic "service_connect_defaults" {
    for_each = var.service_connect_namespace == null ? [] : [1]

    content {
      namespace = aws_service_discovery_http_namespace.this[0].arn
    }
  }
}

resource "aws_cloudwatch_log_group" "exec" {
  count = var.exec_logging == null ? 0 : 1

  name              = "/ecs/${var.name}/exec"
  retention_in_days = var.exec_logging.retention_days
  # checkov:skip=CKV_AWS_158:CloudWatch Logs encrypts by itself; a key of one's own is given as exec_logging.kms_key_arn
  # checkov:skip=CKV_AWS_338:365 days by default; who chooses fewer has read the variable
  kms_key_id = var.exec_logging.kms_key_arn
  tags       = local.tags
}

resource "aws_service_discovery_http_namespace" "this" {
  count = var.service_connect_namespace == null ? 0 : 1

  name        = var.service_connect_namespace
  description = "Service Connect of the cluster ${var.name}"
  tags        = local.tags
}

# Made after the groups and, because it names them, destroyed before them: ECS does not delete a capacity provider that a
# cluster still has.
resource "aws_ecs_cluster_capacity_providers" "this" {
  cluster_name       = aws_ecs_cluster.this.name
  capacity_providers = keys(var.capacity_providers)

  dynamic "default_capacity_provider_strategy" {
    for_each = local.strategy

    content {
      capacity_provider = default_capacity_provider_strategy.key
      weight            = default_capacity_provider_strategy.value.weight
      base              = default_capacity_provider_strategy.value.base
    }
  }
}
