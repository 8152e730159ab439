# The smallest cluster that can be rolled without anybody noticing: two hosts, and a service of two tasks.

module "network" {
  source = "../../modules/network"

  name        = var.name
  environment = var.environment
  nat         = "one"

  zones = {
    "${var.region}a" = { private_cidr = "10.0.0.0/20", public_cidr = "10.0.240.0/24" }
    "${var.region}b" = { private_cidr = "10.0.16.0/20", public_cidr = "10.0.241.0/24" }
  }
}

module "cluster" {
  source = "../../modules/ecs_cluster"

  name               = var.name
  environment        = var.environment
  capacity_providers = { (module.hosts.capacity_provider_name) = {} }
}

module "hosts" {
  source = "../../modules/ecs_instances"

  name           = "${var.name}-general"
  cluster_name   = module.cluster.name
  environment    = var.environment
  vpc_id         = module.network.vpc_id
  subnet_ids     = module.network.private_subnet_ids
  instance_types = ["t3.medium"]
  size           = { min = 2, max = 4 }
}

module "web" {
  source = "../../modules/ecs_service"

  name        = "web"
  environment = var.environment
  cluster_arn = module.cluster.arn
  fence       = true

  task = {
    containers = jsonencode([{
      name         = "web"
      image        = "nginx:1.29"
      cpu          = 128
      memory       = 128
      portMappings = [{ containerPort = 80, hostPort = 0 }]
    }])
  }
}
