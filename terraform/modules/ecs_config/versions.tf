terraform {
  # 1.9: a validation may refer to other variables.
  required_version = ">= 1.9"
}
