variable "name" {
  description = "Name of the cluster, and the start of every name here."
  type        = string
  default     = "demo"
}

variable "environment" {
  description = "Value of the `Environment` tag."
  type        = string
  default     = "test"
}

variable "region" {
  description = "Region to make it in."
  type        = string
  default     = "eu-central-1"
}
