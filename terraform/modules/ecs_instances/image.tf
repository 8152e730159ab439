# The image is a parameter of the group's own. Terraform makes it and never looks at its value again; ecsroll writes the image
# it rolls to into it, and on a rollback the one before. Launch templates point at it by name, so neither makes a difference
# between what Terraform wrote and what AWS has.

locals {
  family = {
    "al2023"              = "/aws/service/ecs/optimized-ami/amazon-linux-2023/recommended/image_id"
    "al2023-arm64"        = "/aws/service/ecs/optimized-ami/amazon-linux-2023/arm64/recommended/image_id"
    "al2023-gpu"          = "/aws/service/ecs/optimized-ami/amazon-linux-2023/gpu/recommended/image_id"
    "al2023-neuron"       = "/aws/service/ecs/optimized-ami/amazon-linux-2023/neuron/recommended/image_id"
    "bottlerocket"        = "/aws/service/bottlerocket/aws-ecs-2/x86_64/latest/image_id"
    "bottlerocket-arm64"  = "/aws/service/bottlerocket/aws-ecs-2/arm64/latest/image_id"
    "bottlerocket-nvidia" = "/aws/service/bottlerocket/aws-ecs-2-nvidia/x86_64/latest/image_id"
  }[var.ami.family]

  bottlerocket = startswith(var.ami.family, "bottlerocket")
}

data "aws_ssm_parameter" "recommended" {
  count = var.ami.first_image_id == null ? 1 : 0

  name = local.family
}

resource "aws_ssm_parameter" "image" {
  # checkov:skip=CKV2_AWS_34:EC2 resolves parameters of type String only, and the id of an image is no secret
  # checkov:skip=CKV_AWS_337:the id of an image is no secret, so there is nothing to encrypt
  name        = "/ecs-image/${var.cluster_name}/${var.name}"
  description = "Image that the group ${var.name} launches. Written by ecsroll."
  type        = "String"

  # AWS then checks that the image exists before it takes a value; resolve:ssm works with this type only.
  data_type = "aws:ec2:image"
  value     = var.ami.first_image_id != null ? var.ami.first_image_id : data.aws_ssm_parameter.recommended[0].value

  # By this tag ecsroll knows that it may write here, and for which group.
  tags = merge(local.tags, { "ecsroll:group" = var.name })

  lifecycle {
    ignore_changes = [value]
  }
}
