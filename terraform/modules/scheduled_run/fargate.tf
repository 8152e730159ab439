resource "aws_ecs_task_definition" "this" {
  count = var.fargate == null ? 0 : 1

  family                   = var.name
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = var.fargate.cpu
  memory                   = var.fargate.memory
  task_role_arn            = aws_iam_role.this.arn
  execution_role_arn       = aws_iam_role.execution[0].arn
  tags                     = local.tags

  runtime_platform {
    operating_system_family = "LINUX"
    cpu_architecture        = var.fargate.architecture
  }

  container_definitions = jsonencode([{
    name                   = "ecsroll"
    image                  = var.fargate.image
    entryPoint             = ["ecsroll"]
    command                = var.command
    essential              = true
    readonlyRootFilesystem = true

    # ecsroll takes 25 s (--stop-grace) to give back what it can when it is told to stop.
    stopTimeout = 60

    environment = [
      { name = "AWS_REGION", value = local.region },
      { name = "AWS_DEFAULT_REGION", value = local.region },
      { name = "NO_COLOR", value = "1" },
    ]

    logConfiguration = {
      logDriver = "awslogs"
      options = {
        awslogs-group         = aws_cloudwatch_log_group.this.name
        awslogs-region        = local.region
        awslogs-stream-prefix = "run"
      }
    }
  }])
}

# Pulls the image and opens the log; not what ecsroll runs as.
resource "aws_iam_role" "execution" {
  count = var.fargate == null ? 0 : 1

  name_prefix = substr("${var.name}-exec-", 0, 38)
  description = "Pulls the image of ${var.name} and opens its log"

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "ecs-tasks.amazonaws.com" }
      Condition = {
        StringEquals = { "aws:SourceAccount" = local.account }
        ArnLike      = { "aws:SourceArn" = "arn:${local.partition}:ecs:${local.region}:${local.account}:*" }
      }
    }]
  })

  tags = local.tags
}

resource "aws_iam_role_policy" "execution" {
  count = var.fargate == null ? 0 : 1

  name = "pull-and-log"
  role = aws_iam_role.execution[0].id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "Log"
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
        Resource = ["${aws_cloudwatch_log_group.this.arn}:*"]
      },
      {
        Sid      = "LogInToEcr"
        Effect   = "Allow"
        Action   = ["ecr:GetAuthorizationToken"]
        Resource = ["*"] # ECR knows no narrower one for it
      },
      {
        Sid      = "PullFromEcr"
        Effect   = "Allow"
        Action   = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
        Resource = ["arn:${local.partition}:ecr:*:*:repository/*"]
      },
    ]
  })
}

resource "aws_security_group" "this" {
  count = var.fargate == null ? 0 : 1

  # checkov:skip=CKV2_AWS_5:the schedule starts tasks with it
  name_prefix = "${var.name}-"
  description = "The task ${var.name}: to AWS, nothing in"
  vpc_id      = var.fargate.vpc_id
  tags        = merge(local.tags, { Name = var.name })

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_vpc_security_group_egress_rule" "https" {
  count = var.fargate == null ? 0 : 1

  security_group_id = aws_security_group.this[0].id
  description       = "HTTPS to AWS and to the registry"
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
  tags              = local.tags
}
