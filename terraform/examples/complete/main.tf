# The cluster and its hosts. What runs there: services.tf. Who watches and rolls it: watching.tf.

locals {
  zones = { for index, letter in ["a", "b", "c"] : "${var.region}${letter}" => {
    private_cidr = cidrsubnet("10.0.0.0/16", 4, index)
    public_cidr  = cidrsubnet("10.0.0.0/16", 8, 240 + index)
  } }
}

module "network" {
  source = "../../modules/network"

  name        = var.name
  environment = var.environment
  cidr        = "10.0.0.0/16"
  zones       = local.zones
  nat         = "per_zone"
  endpoints   = { interface = ["ecr.api", "ecr.dkr", "logs", "ssm", "ssmmessages"] }
}

module "cluster" {
  source = "../../modules/ecs_cluster"

  name                      = var.name
  environment               = var.environment
  container_insights        = "enhanced"
  service_connect_namespace = "${var.name}.internal"

  capacity_providers = {
    (module.general.capacity_provider_name)      = { base = 2 }
    (module.spot.capacity_provider_name)         = { weight = 2 }
    (module.consul_hosts.capacity_provider_name) = { weight = 0 }
  }
}

module "logs" {
  source = "../../modules/ecs_logs"

  cluster_name = var.name
  environment  = var.environment
}

# ------------------------------------------------------------------- hosts --

module "general" {
  source = "../../modules/ecs_instances"

  name                 = "${var.name}-general"
  cluster_name         = module.cluster.name
  environment          = var.environment
  vpc_id               = module.network.vpc_id
  subnet_ids           = module.network.private_subnet_ids
  instance_types       = ["m7i.large", "m6i.large"]
  size                 = { min = 3, max = 12 }
  logs                 = module.logs
  registry_credentials = local.registry_credentials
  agent                = { image_pull_behavior = "prefer-cached" }

  managed_termination_protection = true

  # Whoever writes to a disk of the host has two minutes to save it.
  lifecycle_hooks = { flush = { on = "terminate", heartbeat_seconds = 120 } }

  ingress = {
    alb = { security_group_id = module.alb.security_group_id }
    clb = { security_group_id = module.clb.security_group_id, from_port = 8080, to_port = 8080 }
  }
}

module "spot" {
  source = "../../modules/ecs_instances"

  name                 = "${var.name}-spot"
  cluster_name         = module.cluster.name
  environment          = var.environment
  vpc_id               = module.network.vpc_id
  subnet_ids           = module.network.private_subnet_ids
  ami                  = { family = "al2023-arm64" }
  instance_types       = ["m7g.large", "m6g.large", "c7g.xlarge"]
  spot                 = {}
  size                 = { min = 0, max = 10 }
  logs                 = module.logs
  registry_credentials = local.registry_credentials

  ingress = { alb = { security_group_id = module.alb.security_group_id } }
}

# Consul's servers keep state, so they have hosts of their own and nothing sizes the group but us.
module "consul_hosts" {
  source = "../../modules/ecs_instances"

  name            = "${var.name}-consul"
  cluster_name    = module.cluster.name
  environment     = var.environment
  vpc_id          = module.network.vpc_id
  subnet_ids      = module.network.private_subnet_ids
  instance_types  = ["t3.medium"]
  size            = { min = 3, max = 4 }
  managed_scaling = null
  logs            = module.logs
}

resource "aws_vpc_security_group_ingress_rule" "consul" {
  for_each = { for pair in flatten([for name, rule in module.consul.ports : [for protocol in rule.protocols : { name = name, port = rule.port, protocol = protocol }]]) : "${pair.name} ${pair.protocol}" => pair }

  security_group_id            = module.consul_hosts.security_group_id
  referenced_security_group_id = module.consul_hosts.security_group_id
  description                  = each.key
  ip_protocol                  = each.value.protocol
  from_port                    = each.value.port
  to_port                      = each.value.port
  tags                         = { Environment = var.environment }
}

# ---------------------------------------------------- registry credentials --

data "aws_caller_identity" "current" {}

resource "aws_s3_bucket" "config" {
  # checkov:skip=CKV_AWS_18:one object that hosts read at boot; CloudTrail has the data events for who wants them
  # checkov:skip=CKV_AWS_144:a host reads it in its own region
  # checkov:skip=CKV_AWS_145:encrypted by S3; ecs_instances takes a key of one's own too
  # checkov:skip=CKV2_AWS_61:nothing in it expires
  # checkov:skip=CKV2_AWS_62:nobody waits for changes
  bucket = "${var.name}-ecs-config-${data.aws_caller_identity.current.account_id}"
  tags   = { Environment = var.environment }
}

resource "aws_s3_bucket_public_access_block" "config" {
  bucket                  = aws_s3_bucket.config.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_versioning" "config" {
  bucket = aws_s3_bucket.config.id

  versioning_configuration {
    status = "Enabled"
  }
}

locals {
  registry_credentials = { bucket = aws_s3_bucket.config.bucket, key = "ecs.config" }
}

# An empty file to begin with, so that hosts boot before there are credentials. Uploading others changes nothing here.
resource "aws_s3_object" "config" {
  # checkov:skip=CKV_AWS_186:encrypted by S3
  bucket  = aws_s3_bucket.config.id
  key     = local.registry_credentials.key
  content = "# registry credentials go here\n"
  tags    = { Environment = var.environment }

  lifecycle {
    ignore_changes = [content, etag]
  }
}
