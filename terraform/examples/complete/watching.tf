locals {
  fargate = var.ecsroll_image == null ? null : {
    image       = var.ecsroll_image
    cluster_arn = module.cluster.arn
    vpc_id      = module.network.vpc_id
    subnet_ids  = module.network.private_subnet_ids
  }

  codebuild = var.ecsroll_image == null ? { source = var.ecsroll_source } : null
}

module "events" {
  source = "../../modules/ecs_events"

  cluster_name   = var.name
  environment    = var.environment
  subscriptions  = var.alert_email == null ? {} : { email = { protocol = "email", endpoint = var.alert_email } }
  ami_topic_arns = { ami = module.ami_updates.topic_arn }
}

module "ami_updates" {
  source = "../../modules/ami_updates"

  name             = "ecsroll-${var.name}-ami-updates"
  environment      = var.environment
  clusters         = [var.name]
  schedule         = { expression = "rate(6 hours)" }
  fargate          = local.fargate
  codebuild        = local.codebuild
  alarm_topic_arns = [module.events.topic_arn]
}

module "ecsroll" {
  source = "../../modules/ecsroll"

  cluster_name = var.name
  environment  = var.environment
  groups       = [module.general, module.spot, module.consul_hosts]
  schedule     = { expression = "cron(0 22 ? * MON-THU *)", timezone = "Europe/Berlin" }
  options      = ["--max-surge", "1", "--window", "Mon-Fri 22:00-04:00 Europe/Berlin", "--outside-window", "exit", "--min-ami-age", "2d"]

  fargate          = local.fargate
  codebuild        = local.codebuild
  alarm_topic_arns = [module.events.topic_arn]
}
