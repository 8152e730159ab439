# The logs of the hosts themselves. Containers log through the awslogs driver of their task definitions.

locals {
  tags   = merge(var.tags, { Environment = var.environment, Cluster = var.cluster_name })
  prefix = coalesce(var.prefix, "/ecs/${var.cluster_name}/hosts")

  # Amazon Linux 2023 keeps kernel, system and Docker messages in the journal only; rsyslog writes these files from it.
  # https://docs.aws.amazon.com/linux/al2023/ug/journald.html
  files = {
    dmesg     = "/var/log/dmesg"
    messages  = "/var/log/messages"
    docker    = "/var/log/docker"
    ecs-init  = "/var/log/ecs/ecs-init.log"
    ecs-agent = "/var/log/ecs/ecs-agent.log"
    audit     = "/var/log/ecs/audit.log"
  }

  # One stream per host. Without retention_in_days the agent leaves the group's retention to Terraform.
  agent_config = jsonencode({
    agent = { run_as_user = "root" }
    logs = {
      logs_collected = {
        files = {
          collect_list = [for name, file in local.files : {
            file_path       = file
            log_group_name  = "${local.prefix}/${name}"
            log_stream_name = "{instance_id}"
          }]
        }
      }
    }
  })

  script = templatefile("${path.module}/ecs_logs.sh.tftpl", { agent_config = local.agent_config })

  statements = [{
    Sid      = "WriteHostLogs"
    Effect   = "Allow"
    Action   = ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"]
    Resource = [for group in aws_cloudwatch_log_group.this : "${group.arn}:*"]
  }]
}

resource "aws_cloudwatch_log_group" "this" {
  for_each = local.files

  name              = "${local.prefix}/${each.key}"
  retention_in_days = var.retention_days
  # checkov:skip=CKV_AWS_158:CloudWatch Logs encrypts by itself; a key of one's own is given as kms_key_arn
  # checkov:skip=CKV_AWS_338:365 days by default; who chooses fewer has read the variable
  kms_key_id = var.kms_key_arn
  tags       = local.tags
}
