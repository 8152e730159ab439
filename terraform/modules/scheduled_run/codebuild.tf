resource "aws_codebuild_project" "this" {
  # checkov:skip=CKV_AWS_147:the project keeps no artifacts that a key could encrypt
  count = var.codebuild == null ? 0 : 1

  name          = var.name
  description   = "ecsroll ${join(" ", var.command)}"
  service_role  = aws_iam_role.this.arn
  build_timeout = var.codebuild.timeout_minutes

  # A second one would find the cluster held; the next run comes soon enough.
  concurrent_build_limit = 1

  tags = local.tags

  artifacts {
    type = "NO_ARTIFACTS"
  }

  environment {
    type         = strcontains(var.codebuild.image, "aarch64") ? "ARM_CONTAINER" : "LINUX_CONTAINER"
    image        = var.codebuild.image
    compute_type = var.codebuild.compute_type
  }

  logs_config {
    cloudwatch_logs {
      group_name = aws_cloudwatch_log_group.this.name
    }
  }

  source {
    type = "NO_SOURCE"

    # JSON is YAML.
    buildspec = jsonencode({
      version = "0.2"
      env     = { variables = { NO_COLOR = "1" } }
      phases = {
        install = {
          "runtime-versions" = { python = "3.12" }
          commands           = ["pip install --quiet '${var.codebuild.source}'"]
        }
        build = {
          # 7: somebody else's roll holds the cluster, which is no failure of this one.
          commands = ["ecsroll ${join(" ", [for word in var.command : "'${replace(word, "'", "'\\''")}'"])} || [ $? -eq 7 ]"]
        }
      }
    })
  }
}

resource "aws_iam_role_policy" "codebuild_log" {
  count = var.codebuild == null ? 0 : 1

  name = "log"
  role = aws_iam_role.this.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid      = "Log"
      Effect   = "Allow"
      Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
      Resource = ["${aws_cloudwatch_log_group.this.arn}:*"]
    }]
  })
}
