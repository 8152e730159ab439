output "vpc_id" {
  description = "Id of the VPC."
  value       = aws_vpc.this.id
}

output "vpc_cidr" {
  description = "IPv4 range of the VPC."
  value       = var.cidr
}

output "private_subnet_ids" {
  description = "Subnets for hosts and tasks, in the order of their zones."
  value       = [for zone in sort(keys(var.zones)) : aws_subnet.private[zone].id]

  # Whoever uses a private subnet wants it with its way out, also when it is taken down: a host that
  # boots before its route exists cannot reach ECS and does not register.
  depends_on = [aws_route.private, aws_route_table_association.private, aws_vpc_endpoint.gateway, aws_vpc_endpoint.interface]
}

output "public_subnet_ids" {
  description = "Subnets for load balancers, in the order of their zones."
  value       = [for zone in sort(keys(var.zones)) : aws_subnet.public[zone].id]

  depends_on = [aws_route.public, aws_route_table_association.public]
}

output "private_route_table_ids" {
  description = "Route tables of the private subnets by zone."
  value       = { for zone, table in aws_route_table.private : zone => table.id }
}

output "nat_public_ips" {
  description = "Addresses that the outside sees, for allow lists of others."
  value       = [for eip in aws_eip.nat : eip.public_ip]
}
