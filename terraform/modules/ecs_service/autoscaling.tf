resource "aws_appautoscaling_target" "this" {
  count = var.autoscaling == null ? 0 : 1

  service_namespace  = "ecs"
  scalable_dimension = "ecs:service:DesiredCount"
  resource_id        = "service/${element(split("/", var.cluster_arn), 1)}/${aws_ecs_service.this.name}"
  min_capacity       = var.autoscaling.min
  max_capacity       = var.autoscaling.max
  tags               = local.tags
}

resource "aws_appautoscaling_policy" "this" {
  for_each = var.autoscaling == null ? {} : { for metric, percent in {
    ECSServiceAverageCPUUtilization    = var.autoscaling.cpu_percent
    ECSServiceAverageMemoryUtilization = var.autoscaling.memory_percent
  } : metric => percent if percent != null }

  name               = "${var.name}-${each.key}"
  policy_type        = "TargetTrackingScaling"
  service_namespace  = aws_appautoscaling_target.this[0].service_namespace
  scalable_dimension = aws_appautoscaling_target.this[0].scalable_dimension
  resource_id        = aws_appautoscaling_target.this[0].resource_id

  target_tracking_scaling_policy_configuration {
    target_value = each.value

    predefined_metric_specification {
      predefined_metric_type = each.key
    }
  }
}
