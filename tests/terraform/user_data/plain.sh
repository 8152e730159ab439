#!/bin/bash
# ---- ECS agent configuration ----
# The agent's unit starts after cloud-init, so it finds this file complete. If anything here fails the agent is kept from
# starting at all: a host that joined with half a configuration would take tasks that it cannot run (or join the cluster
# called default), while a host that never joins is noticed and replaced.
stay_out() {
  echo "ecs.config: $1; the agent will not start" >&2
  systemctl mask ecs
  exit 1
}

umask 077
mkdir -p /etc/ecs || stay_out "cannot make /etc/ecs"
cat >> /etc/ecs/ecs.config <<'ECS_CONFIG' || stay_out "cannot write /etc/ecs/ecs.config"
ECS_AVAILABLE_LOGGING_DRIVERS=["json-file","awslogs"]
ECS_AWSVPC_BLOCK_IMDS=true
ECS_CLUSTER=demo
ECS_CONTAINER_STOP_TIMEOUT=30s
ECS_IMAGE_PULL_BEHAVIOR=default
ECS_INSTANCE_ATTRIBUTES={"instance-group":"demo-general"}
ECS_LOGLEVEL=info
ECS_CONFIG
umask 022

# ---- SSM session access ----
# The ECS-optimized image has the agent; an image of one's own may not. A host without it still serves.
command -v amazon-ssm-agent > /dev/null || dnf install --quiet --assumeyes amazon-ssm-agent || echo "no SSM agent" >&2
systemctl enable --now amazon-ssm-agent || echo "no SSM session access" >&2

