variable "name" {
  description = "Name of the cluster, and the start of every name here."
  type        = string
  default     = "demo"
}

variable "environment" {
  description = "Value of the `Environment` tag."
  type        = string
  default     = "production"
}

variable "region" {
  description = "Region to make it in."
  type        = string
  default     = "eu-central-1"
}

variable "certificate_arn" {
  description = "Certificate of the load balancer; null for plain HTTP."
  type        = string
  default     = null
}

variable "callers" {
  description = "IPv4 ranges that may call the load balancers."
  type        = set(string)
  default     = ["192.0.2.0/24"]
}

variable "alert_email" {
  description = "Address that hears of failures; null for nobody."
  type        = string
  default     = null
}

variable "ecsroll_source" {
  description = "What CodeBuild installs to run ecsroll, pinned."
  type        = string
  default     = "ecsroll==0.1.0"
}

variable "ecsroll_image" {
  description = "Image with ecsroll; the roll then runs as a Fargate task. Null for CodeBuild."
  type        = string
  default     = null
}

variable "deletion_protection" {
  description = "Whether the load balancer must be unprotected before it can be destroyed."
  type        = bool
  default     = true
}
