# The VPC, its subnets by zone, and their way out. Endpoints: endpoints.tf. Flow logs: flow_logs.tf.

locals {
  tags = merge(var.tags, { Environment = var.environment })

  # One NAT gateway serves all zones from the first of them in the alphabet.
  nat_zones = {
    per_zone = keys(var.zones)
    one      = slice(sort(keys(var.zones)), 0, 1)
    none     = []
  }[var.nat]

  nat_of_zone = { for zone in keys(var.zones) : zone => contains(local.nat_zones, zone) ? zone : one(local.nat_zones) if var.nat != "none" }
}

resource "aws_vpc" "this" {
  cidr_block = var.cidr

  # Both are needed for the private names of interface endpoints.
  enable_dns_support   = true
  enable_dns_hostnames = true

  tags = merge(local.tags, { Name = var.name })
}

# AWS makes this group with everything open between its members; without rules nobody can use it by accident.
resource "aws_default_security_group" "this" {
  vpc_id = aws_vpc.this.id
  tags   = merge(local.tags, { Name = "${var.name}-default-unused" })
}

resource "aws_internet_gateway" "this" {
  vpc_id = aws_vpc.this.id
  tags   = merge(local.tags, { Name = var.name })
}

# ------------------------------------------------------------------ public --

resource "aws_subnet" "public" {
  for_each = var.zones

  vpc_id            = aws_vpc.this.id
  availability_zone = each.key
  cidr_block        = each.value.public_cidr

  # Load balancers and NAT gateways bring their own addresses; nothing else belongs here.
  map_public_ip_on_launch = false

  tags = merge(local.tags, { Name = "${var.name}-public-${each.key}" })
}

resource "aws_route_table" "public" {
  vpc_id = aws_vpc.this.id
  tags   = merge(local.tags, { Name = "${var.name}-public" })
}

resource "aws_route" "public" {
  route_table_id         = aws_route_table.public.id
  destination_cidr_block = "0.0.0.0/0"
  gateway_id             = aws_internet_gateway.this.id
}

resource "aws_route_table_association" "public" {
  for_each = aws_subnet.public

  subnet_id      = each.value.id
  route_table_id = aws_route_table.public.id
}

# ----------------------------------------------------------------- private --

resource "aws_subnet" "private" {
  for_each = var.zones

  vpc_id            = aws_vpc.this.id
  availability_zone = each.key
  cidr_block        = each.value.private_cidr

  tags = merge(local.tags, { Name = "${var.name}-private-${each.key}" })
}

resource "aws_route_table" "private" {
  for_each = var.zones

  vpc_id = aws_vpc.this.id
  tags   = merge(local.tags, { Name = "${var.name}-private-${each.key}" })
}

resource "aws_route_table_association" "private" {
  for_each = aws_subnet.private

  subnet_id      = each.value.id
  route_table_id = aws_route_table.private[each.key].id
}

resource "aws_eip" "nat" {
  for_each = toset(local.nat_zones)

  domain = "vpc"
  tags   = merge(local.tags, { Name = "${var.name}-nat-${each.key}" })
}

resource "aws_nat_gateway" "this" {
  for_each = toset(local.nat_zones)

  subnet_id     = aws_subnet.public[each.key].id
  allocation_id = aws_eip.nat[each.key].id
  tags          = merge(local.tags, { Name = "${var.name}-${each.key}" })

  # A NAT gateway cannot be made before its VPC has a way to the internet.
  depends_on = [aws_internet_gateway.this]
}

resource "aws_route" "private" {
  for_each = local.nat_of_zone

  route_table_id         = aws_route_table.private[each.key].id
  destination_cidr_block = "0.0.0.0/0"
  nat_gateway_id         = aws_nat_gateway.this[each.value].id
}
