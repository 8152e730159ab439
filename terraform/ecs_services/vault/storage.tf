# Vault's own table layout. What is in it is encrypted by Vault before it gets here.
resource "aws_dynamodb_table" "this" {
  # checkov:skip=CKV_AWS_119:Vault encrypts everything itself; the key of AWS does for the rest
  name                        = var.name
  billing_mode                = "PAY_PER_REQUEST"
  hash_key                    = "Path"
  range_key                   = "Key"
  deletion_protection_enabled = true
  tags                        = local.tags

  attribute {
    name = "Path"
    type = "S"
  }

  attribute {
    name = "Key"
    type = "S"
  }

  point_in_time_recovery {
    enabled = true
  }

  server_side_encryption {
    enabled = true
  }

  lifecycle {
    prevent_destroy = true
  }
}

# Whoever loses this key loses everything in Vault.
resource "aws_kms_key" "seal" {
  description             = "Seal of ${var.name}. Without it nothing in Vault can be read again"
  enable_key_rotation     = true
  deletion_window_in_days = 30
  tags                    = local.tags

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "TheAccountsPoliciesDecide"
      Effect    = "Allow"
      Action    = "kms:*"
      Resource  = "*"
      Principal = { AWS = "arn:${data.aws_partition.current.partition}:iam::${data.aws_caller_identity.current.account_id}:root" }
    }]
  })

  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_kms_alias" "seal" {
  name          = "alias/${var.name}-seal"
  target_key_id = aws_kms_key.seal.key_id
}
