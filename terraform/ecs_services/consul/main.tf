# Servers run on the network of their hosts, one on each host of a group of their own, and find each other by the tag that
# ecs_instances puts on the hosts. So an address lives as long as its data: both go with the host.

data "aws_region" "current" {}

locals {
  tags  = merge(var.tags, { Environment = var.environment })
  count = var.mode == "server" ? var.servers : 1

  # ecs_instances names a group and its capacity provider alike.
  capacity_providers = { (var.instance_group) = {} }

  # One server at a time, stopped before the next starts: a host has room for one. 66 % of 3 is 2 when rounded up, 80 % of
  # 5 is 4; 67 % of 3 would be 3, and no host would ever drain.
  deployment = {
    minimum_healthy_percent = floor(100 * (local.count - 1) / local.count)
    maximum_percent         = 100
  }

  config = {
    datacenter         = var.datacenter
    server             = true
    bootstrap_expect   = local.count
    data_dir           = "/consul/data"
    bind_addr          = "{{ GetPrivateIP }}"
    client_addr        = "127.0.0.1 {{ GetPrivateIP }}"
    retry_join         = ["provider=aws tag_key=InstanceGroup tag_value=${var.instance_group} addr_type=private_v4"]
    leave_on_terminate = true

    # A server that could not leave (its host died) is taken out of raft by the others.
    autopilot = { cleanup_dead_servers = true, last_contact_threshold = "1s", server_stabilization_time = "10s" }
  }

  tls_config = {
    tls = {
      defaults     = { ca_file = "/consul/config/ca.pem", cert_file = "/consul/config/cert.pem", key_file = "/consul/config/key.pem", verify_incoming = true, verify_outgoing = true }
      internal_rpc = { verify_server_hostname = true }
    }
  }

  secrets = merge(
    var.gossip_key_secret_arn == null ? {} : { GOSSIP_KEY = var.gossip_key_secret_arn },
    var.tls == null ? {} : { TLS_CA = var.tls.ca_secret_arn, TLS_CERT = var.tls.cert_secret_arn, TLS_KEY = var.tls.key_secret_arn },
  )

  # Consul reads secrets from files only. They lie in the container, which goes with its task.
  write_secrets = join(" && ", concat(
    ["umask 077"],
    var.gossip_key_secret_arn == null ? [] : ["printf '{\"encrypt\":\"%s\"}' \"$GOSSIP_KEY\" > /consul/config/gossip.json"],
    var.tls == null ? [] : [for file, name in { ca = "TLS_CA", cert = "TLS_CERT", key = "TLS_KEY" } : format("printf '%%s' \"$%s\" > /consul/config/%s.pem", name, file)],
  ))

  log = {
    logDriver = "awslogs"
    options = {
      awslogs-group         = aws_cloudwatch_log_group.this.name
      awslogs-region        = data.aws_region.current.region
      awslogs-stream-prefix = var.name
    }
  }

  # stop 120 s: a server that leaves hands over leadership first.
  server = {
    name        = "consul"
    image       = var.image
    memory      = var.memory
    essential   = true
    stopTimeout = 120
    entryPoint  = ["sh", "-c"]
    command     = ["${local.write_secrets} && exec docker-entrypoint.sh agent${var.mode == "dev" ? " -dev" : ""}"]
    environment = [{ name = "CONSUL_LOCAL_CONFIG", value = jsonencode(merge(local.config, var.tls == null ? {} : local.tls_config)) }]
    secrets     = [for name, arn in local.secrets : { name = name, valueFrom = arn }]
    mountPoints = var.mode == "server" ? [{ sourceVolume = "data", containerPath = "/consul/data" }] : []

    # Healthy is a server that knows a leader: ECS then stops the next one only when raft has healed.
    healthCheck = {
      command     = ["CMD-SHELL", "wget -qO- http://127.0.0.1:8500/v1/status/leader | grep -q :"]
      interval    = 10
      timeout     = 5
      retries     = 3
      startPeriod = 60
    }

    logConfiguration = local.log
  }

  client = {
    name        = "consul"
    image       = var.image
    memory      = 128
    essential   = true
    stopTimeout = 30
    entryPoint  = ["sh", "-c"]
    command     = ["${local.write_secrets} && exec docker-entrypoint.sh agent"]
    environment = [{ name = "CONSUL_LOCAL_CONFIG", value = jsonencode({
      datacenter         = var.datacenter
      data_dir           = "/consul/data"
      bind_addr          = "{{ GetPrivateIP }}"
      client_addr        = "127.0.0.1 {{ GetPrivateIP }}"
      retry_join         = local.config.retry_join
      leave_on_terminate = true
    }) }]
    secrets          = [for name, arn in local.secrets : { name = name, valueFrom = arn }]
    logConfiguration = local.log
  }
}

resource "aws_cloudwatch_log_group" "this" {
  name              = "/ecs/services/${var.name}"
  retention_in_days = var.retention_days
  # checkov:skip=CKV_AWS_158:CloudWatch Logs encrypts by itself
  # checkov:skip=CKV_AWS_338:365 days by default; who chooses fewer has read the variable
  tags = local.tags
}

module "servers" {
  source = "../../modules/ecs_service"

  name          = var.name
  environment   = var.environment
  tags          = var.tags
  cluster_arn   = var.cluster_arn
  desired_count = local.count
  fence         = var.fence
  deployment    = local.deployment

  # By the provider of their group: with the cluster's default strategy ECS would look for room on the hosts of other
  # providers only, where the constraint below forbids it, and no server would ever start.
  capacity_providers   = local.capacity_providers
  placement_strategies = [{ type = "spread", field = "attribute:ecs.availability-zone" }]

  placement_constraints = [
    { type = "distinctInstance" },
    { type = "memberOf", expression = "attribute:instance-group == ${var.instance_group}" },
  ]

  task = {
    containers         = jsonencode([local.server])
    network_mode       = "host"
    task_role_arn      = aws_iam_role.task.arn
    execution_role_arn = aws_iam_role.execution.arn
    volumes            = var.mode == "server" ? { data = "/var/lib/${var.name}" } : {}
  }
}

module "clients" {
  source = "../../modules/ecs_service"
  count  = var.clients ? 1 : 0

  name                = "${var.name}-client"
  environment         = var.environment
  tags                = var.tags
  cluster_arn         = var.cluster_arn
  scheduling_strategy = "DAEMON"

  placement_constraints = [{ type = "memberOf", expression = "attribute:instance-group != ${var.instance_group}" }]

  task = {
    containers         = jsonencode([local.client])
    network_mode       = "host"
    task_role_arn      = aws_iam_role.task.arn
    execution_role_arn = aws_iam_role.execution.arn
  }
}
