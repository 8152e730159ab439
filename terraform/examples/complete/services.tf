module "alb" {
  source = "../../modules/alb"

  name                = var.name
  environment         = var.environment
  vpc_id              = module.network.vpc_id
  vpc_cidr            = module.network.vpc_cidr
  subnet_ids          = module.network.public_subnet_ids
  certificate_arn     = var.certificate_arn
  deletion_protection = var.deletion_protection
  allow               = { cidrs = var.callers }

  target_groups = {
    "${var.name}-web" = { priority = 100, paths = ["/*"] }
    "${var.name}-vault" = {
      priority    = 10
      hosts       = ["vault.*"]
      port        = 8200
      protocol    = "HTTPS"
      target_type = "ip"
      health      = { path = "/v1/sys/health?standbyok=true&uninitcode=200", codes = "200" }
    }
  }
}

module "clb" {
  source = "../../modules/clb"

  name        = "${var.name}-legacy"
  environment = var.environment
  vpc_id      = module.network.vpc_id
  vpc_cidr    = module.network.vpc_cidr
  subnet_ids  = module.network.public_subnet_ids
  allow       = { cidrs = var.callers }
  listeners   = { "80" = { instance_port = 8080 } }
  health      = { target = "HTTP:8080/" }
}

# Spread over zones and hosts, fenced: each task moves once in a roll.
module "web" {
  source = "../../modules/ecs_service"

  name          = "web"
  environment   = var.environment
  cluster_arn   = module.cluster.arn
  desired_count = 6
  autoscaling   = { min = 6, max = 30, cpu_percent = 60 }
  fence         = true

  load_balancers = [{
    target_group_arn = module.alb.target_group_arns["${var.name}-web"]
    container_name   = "web"
    container_port   = 80
  }]

  task = {
    containers = jsonencode([{
      name         = "web"
      image        = "nginx:1.29"
      cpu          = 128
      memory       = 128
      portMappings = [{ name = "http", containerPort = 80, hostPort = 0 }]
      healthCheck  = { command = ["CMD-SHELL", "curl -fs http://127.0.0.1/ > /dev/null"], interval = 10, timeout = 5, retries = 3 }
    }])
  }

  service_connect = { http = { dns_name = "web", port = 80 } }
}

# Packed as tightly as memory allows, away from Spot.
module "worker" {
  source = "../../modules/ecs_service"

  name                 = "worker"
  environment          = var.environment
  cluster_arn          = module.cluster.arn
  desired_count        = 4
  fence                = true
  capacity_providers   = { (module.general.capacity_provider_name) = {} }
  placement_strategies = [{ type = "binpack", field = "memory" }]

  task = {
    containers = jsonencode([{
      name        = "worker"
      image       = "busybox:1.37"
      memory      = 256
      stopTimeout = 120
      command     = ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 1; done"]
    }])
  }
}

# Behind a classic balancer: a fixed port, so one task on a host, and one stops before the next starts.
module "legacy" {
  source = "../../modules/ecs_service"

  name                  = "legacy"
  environment           = var.environment
  cluster_arn           = module.cluster.arn
  desired_count         = 2
  capacity_providers    = { (module.general.capacity_provider_name) = {} }
  placement_constraints = [{ type = "distinctInstance" }]
  deployment            = { minimum_healthy_percent = 50, maximum_percent = 200 }
  load_balancers        = [{ elb_name = module.clb.name, container_name = "legacy", container_port = 80 }]

  task = {
    containers = jsonencode([{
      name         = "legacy"
      image        = "nginx:1.29"
      memory       = 128
      portMappings = [{ containerPort = 80, hostPort = 8080 }]
    }])
  }
}

# One on every host: ECS starts it before the others there, and ecsroll waits for it.
module "node_exporter" {
  source = "../../modules/ecs_service"

  name                = "node-exporter"
  environment         = var.environment
  cluster_arn         = module.cluster.arn
  scheduling_strategy = "DAEMON"

  task = {
    network_mode = "host"
    containers = jsonencode([{
      name        = "node-exporter"
      image       = "prom/node-exporter:v1.9.1"
      memory      = 64
      command     = ["--path.rootfs=/host"]
      mountPoints = [{ sourceVolume = "root", containerPath = "/host", readOnly = true }]
    }])
    volumes = { root = "/" }
  }
}

# ---------------------------------------------------------- Consul and Vault --

# Secrets without a value: it is put there by hand (see the README), so that no state file ever holds it.
resource "aws_secretsmanager_secret" "this" {
  for_each = {
    consul-gossip-key = "consul keygen"
    vault-cert        = "Certificate of Vault in PEM"
    vault-key         = "Its key in PEM"
  }

  # checkov:skip=CKV_AWS_149:encrypted with the account's key for Secrets Manager
  # checkov:skip=CKV2_AWS_57:rotated where it is made, by hand
  name        = "${var.name}/${each.key}"
  description = each.value
  tags        = { Environment = var.environment }
}

module "consul" {
  source = "../../ecs_services/consul"

  name                  = "${var.name}-consul"
  environment           = var.environment
  cluster_arn           = module.cluster.arn
  mode                  = "server"
  image                 = "hashicorp/consul:1.21.3"
  instance_group        = module.consul_hosts.name
  gossip_key_secret_arn = aws_secretsmanager_secret.this["consul-gossip-key"].arn
}

module "vault" {
  source = "../../ecs_services/vault"

  name               = "${var.name}-vault"
  environment        = var.environment
  cluster_arn        = module.cluster.arn
  image              = "hashicorp/vault:1.20.2"
  subnet_ids         = module.network.private_subnet_ids
  security_group_ids = [aws_security_group.vault.id]
  target_group_arn   = module.alb.target_group_arns["${var.name}-vault"]

  tls = {
    cert_secret_arn = aws_secretsmanager_secret.this["vault-cert"].arn
    key_secret_arn  = aws_secretsmanager_secret.this["vault-key"].arn
  }
}

resource "aws_security_group" "vault" {
  # checkov:skip=CKV2_AWS_5:the tasks of Vault have it
  name_prefix = "${var.name}-vault-"
  description = "Tasks of Vault"
  vpc_id      = module.network.vpc_id
  tags        = { Environment = var.environment, Name = "${var.name}-vault" }
}

resource "aws_vpc_security_group_ingress_rule" "vault_alb" {
  security_group_id            = aws_security_group.vault.id
  referenced_security_group_id = module.alb.security_group_id
  description                  = "API from the load balancer"
  ip_protocol                  = "tcp"
  from_port                    = 8200
  to_port                      = 8200
  tags                         = { Environment = var.environment }
}

resource "aws_vpc_security_group_ingress_rule" "vault_nodes" {
  security_group_id            = aws_security_group.vault.id
  referenced_security_group_id = aws_security_group.vault.id
  description                  = "Requests that a standby node sends on"
  ip_protocol                  = "tcp"
  from_port                    = 8200
  to_port                      = 8201
  tags                         = { Environment = var.environment }
}

resource "aws_vpc_security_group_egress_rule" "vault" {
  security_group_id = aws_security_group.vault.id
  description       = "AWS, and each other"
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 8201
  tags              = { Environment = var.environment }
}
