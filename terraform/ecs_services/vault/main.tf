# Nodes keep nothing: storage and lock lie in DynamoDB, the seal is a KMS key. So a node may stop wherever a roll wants it to.
# https://developer.hashicorp.com/vault/docs/configuration/storage/dynamodb

data "aws_region" "current" {}

locals {
  tags   = merge(var.tags, { Environment = var.environment })
  scheme = var.plain_http ? "http" : "https"

  # Standby nodes answer for themselves, and one that nobody has initialised yet counts as healthy: otherwise ECS and the load
  # balancer would stop it before anybody can.
  health_path = "/v1/sys/health?standbyok=true&uninitcode=200"

  config = {
    ui            = true
    disable_mlock = false
    storage       = { dynamodb = { table = aws_dynamodb_table.this.name, region = data.aws_region.current.region, ha_enabled = "true" } }
    seal          = { awskms = { kms_key_id = aws_kms_key.seal.key_id, region = data.aws_region.current.region } }
    listener = { tcp = merge(
      { address = "0.0.0.0:8200", cluster_address = "0.0.0.0:8201", tls_disable = var.plain_http },
      var.plain_http ? {} : { tls_cert_file = "/vault/config/tls.crt", tls_key_file = "/vault/config/tls.key" },
    ) }
  }

  secrets = var.tls == null ? {} : { TLS_CERT = var.tls.cert_secret_arn, TLS_KEY = var.tls.key_secret_arn }

  # The address of a task is known only when it runs; nodes tell it each other through the storage.
  start = join(" && ", concat(
    ["umask 077"],
    var.tls == null ? [] : ["printf '%s' \"$TLS_CERT\" > /vault/config/tls.crt", "printf '%s' \"$TLS_KEY\" > /vault/config/tls.key"],
    [
      "address=$(hostname -i)",
      "export VAULT_API_ADDR=${local.scheme}://$address:8200 VAULT_CLUSTER_ADDR=https://$address:8201",
      "exec docker-entrypoint.sh server",
    ],
  ))

  container = {
    name         = "vault"
    image        = var.image
    memory       = var.memory
    essential    = true
    entryPoint   = ["sh", "-c"]
    command      = [local.start]
    environment  = [{ name = "VAULT_LOCAL_CONFIG", value = jsonencode(local.config) }]
    secrets      = [for name, arn in local.secrets : { name = name, valueFrom = arn }]
    portMappings = [{ containerPort = 8200 }, { containerPort = 8201 }]

    # The active node gives up its lock when it is told to stop; killed, it would keep it until the lock runs out.
    stopTimeout = 60

    # Memory with keys in it must not be swapped to disk.
    linuxParameters = { capabilities = { add = ["IPC_LOCK"] } }

    healthCheck = {
      command     = ["CMD-SHELL", "wget -qO- --no-check-certificate '${local.scheme}://127.0.0.1:8200${local.health_path}'"]
      interval    = 10
      timeout     = 5
      retries     = 3
      startPeriod = 60
    }

    logConfiguration = {
      logDriver = "awslogs"
      options = {
        awslogs-group         = aws_cloudwatch_log_group.this.name
        awslogs-region        = data.aws_region.current.region
        awslogs-stream-prefix = var.name
      }
    }
  }

  # One node at a time: with two, the other one answers meanwhile.
  deployment = {
    minimum_healthy_percent = floor(100 * (var.nodes - 1) / var.nodes)
    maximum_percent         = 100
  }
}

module "nodes" {
  source = "../../modules/ecs_service"

  name          = var.name
  environment   = var.environment
  tags          = var.tags
  cluster_arn   = var.cluster_arn
  desired_count = var.nodes
  fence         = var.fence
  deployment    = local.deployment

  placement_strategies  = [{ type = "spread", field = "attribute:ecs.availability-zone" }]
  placement_constraints = [{ type = "distinctInstance" }]

  subnet_ids         = var.subnet_ids
  security_group_ids = var.security_group_ids

  load_balancers            = var.target_group_arn == null ? [] : [{ target_group_arn = var.target_group_arn, container_name = "vault", container_port = 8200 }]
  health_check_grace_period = 120

  task = {
    containers         = jsonencode([local.container])
    network_mode       = "awsvpc"
    task_role_arn      = aws_iam_role.task.arn
    execution_role_arn = aws_iam_role.execution.arn
  }
}

resource "aws_cloudwatch_log_group" "this" {
  name              = "/ecs/services/${var.name}"
  retention_in_days = var.retention_days
  # checkov:skip=CKV_AWS_158:CloudWatch Logs encrypts by itself
  # checkov:skip=CKV_AWS_338:365 days by default; who chooses fewer has read the variable
  tags = local.tags
}
