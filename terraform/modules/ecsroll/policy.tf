# The least that `ecsroll replace` and everything after it (status, abort, rollback) needs: the calls that the code makes and
# the actions that AWS checks behind them. A statement says why it is there; what stands on "*" knows no narrower resource.
# https://docs.aws.amazon.com/service-authorization/latest/reference/

data "aws_region" "current" {}

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

locals {
  region    = data.aws_region.current.region
  account   = data.aws_caller_identity.current.account_id
  partition = data.aws_partition.current.partition

  ecs         = "arn:${local.partition}:ecs:${local.region}:${local.account}"
  ssm         = "arn:${local.partition}:ssm:${local.region}:${local.account}:parameter"
  autoscaling = "arn:${local.partition}:autoscaling:${local.region}:${local.account}"
  cluster     = "${local.ecs}:cluster/${var.cluster_name}"
  state       = "${local.ssm}/ecsroll/${var.cluster_name}"

  # AWS's public parameters have no account in their ARN, which * matches; nobody else may make names that begin with /aws.
  public_parameters = "arn:${local.partition}:ssm:${local.region}:*:parameter/aws/service/*"

  # The ARN of a group holds an id that only AWS knows.
  asgs             = [for group in var.groups : "${local.autoscaling}:autoScalingGroup:*:autoScalingGroupName/${group.autoscaling_group_name}"]
  images           = compact([for group in var.groups : group.image_parameter_arn])
  launch_templates = compact([for group in var.groups : group.launch_template_arn])
  in_cluster       = { ArnEquals = { "ecs:cluster" = local.cluster } }
  in_region        = { StringEquals = { "aws:RequestedRegion" = local.region } }

  statements = concat(
    # ------------------------------------------------------------------ see --
    [
      {
        Sid       = "SeeClusters"
        Effect    = "Allow"
        Action    = ["ecs:ListClusters", "ecs:DescribeTaskDefinition"]
        Resource  = ["*"]
        Condition = local.in_region
      },
      {
        Sid       = "SeeThisCluster"
        Effect    = "Allow"
        Action    = ["ecs:DescribeClusters", "ecs:ListContainerInstances"]
        Resource  = [local.cluster]
        Condition = {}
      },
      {
        Sid       = "SeeItsHosts"
        Effect    = "Allow"
        Action    = ["ecs:DescribeContainerInstances"]
        Resource  = ["${local.ecs}:container-instance/${var.cluster_name}/*"]
        Condition = local.in_cluster
      },
      {
        # Asked for a whole cluster, not for a host: there is no host to name.
        Sid       = "ListItsTasksAndServices"
        Effect    = "Allow"
        Action    = ["ecs:ListServices", "ecs:ListTasks"]
        Resource  = ["*"]
        Condition = local.in_cluster
      },
      {
        Sid       = "SeeItsTasks"
        Effect    = "Allow"
        Action    = ["ecs:DescribeTasks", "ecs:GetTaskProtection"]
        Resource  = ["${local.ecs}:task/${var.cluster_name}/*"]
        Condition = local.in_cluster
      },
      {
        Sid       = "SeeItsServices"
        Effect    = "Allow"
        Action    = ["ecs:DescribeServices"]
        Resource  = ["${local.ecs}:service/${var.cluster_name}/*"]
        Condition = local.in_cluster
      },
      {
        Sid       = "SeeCapacityProviders"
        Effect    = "Allow"
        Action    = ["ecs:DescribeCapacityProviders"]
        Resource  = ["${local.ecs}:capacity-provider/*"]
        Condition = {}
      },
      {
        # Groups outside the roll too: one that shares a launch template or a parameter must be found before it is hurt.
        Sid    = "SeeGroupsAndInstances"
        Effect = "Allow"
        Action = [
          "autoscaling:DescribeAutoScalingGroups",
          "autoscaling:DescribeAutoScalingInstances",
          "autoscaling:DescribeInstanceRefreshes",
          "autoscaling:DescribeLaunchConfigurations",
          "autoscaling:DescribeLifecycleHooks",
          "autoscaling:DescribeInstanceRefreshes",
          "autoscaling:DescribeScalingActivities",
          "autoscaling:DescribeWarmPool",
          "ec2:DescribeImages",
          "ec2:DescribeInstanceTypes",
          "ec2:DescribeInstances",
          "ec2:DescribeLaunchTemplateVersions",
          "ec2:DescribeLaunchTemplates",
          "elasticloadbalancing:DescribeTargetGroupAttributes",
          "elasticloadbalancing:DescribeTargetGroups",
          "elasticloadbalancing:DescribeTargetHealth",
        ]
        Resource  = ["*"]
        Condition = local.in_region
      },
      {
        Sid       = "SeeReleasesOfImages"
        Effect    = "Allow"
        Action    = ["ssm:GetParameter", "ssm:GetParameters", "ssm:GetParametersByPath"]
        Resource  = [local.public_parameters]
        Condition = {}
      },
    ],
    length(var.alarms) == 0 ? [] : [{
      Sid       = "SeeAlarms"
      Effect    = "Allow"
      Action    = ["cloudwatch:DescribeAlarms"]
      Resource  = ["*"]
      Condition = local.in_region
    }],
    # ---------------------------------------------------------------- hosts --
    [
      {
        Sid       = "DrainAndMarkHosts"
        Effect    = "Allow"
        Action    = ["ecs:DeleteAttributes", "ecs:PutAttributes", "ecs:UpdateContainerInstancesState"]
        Resource  = ["${local.ecs}:container-instance/${var.cluster_name}/*"]
        Condition = local.in_cluster
      },
      {
        # ECS checks this one on the cluster, unlike the three above.
        Sid       = "DeregisterHosts"
        Effect    = "Allow"
        Action    = ["ecs:DeregisterContainerInstance"]
        Resource  = [local.cluster]
        Condition = {}
      },
      {
        # Only with --standalone-tasks stop.
        Sid       = "StopTasks"
        Effect    = "Allow"
        Action    = ["ecs:StopTask"]
        Resource  = ["${local.ecs}:task/${var.cluster_name}/*"]
        Condition = local.in_cluster
      },
      {
        Sid    = "MakeRoomAndReplaceHosts"
        Effect = "Allow"
        Action = [
          "autoscaling:ResumeProcesses",
          "autoscaling:SetInstanceProtection",
          "autoscaling:SuspendProcesses",
          "autoscaling:TerminateInstanceInAutoScalingGroup",
          "autoscaling:UpdateAutoScalingGroup",
        ]
        Resource  = local.asgs
        Condition = {}
      },
    ],
    # -------------------------------------------------------- what it keeps --
    [
      {
        # Who holds the cluster, what was borrowed, what ran before.
        Sid       = "KeepItsState"
        Effect    = "Allow"
        Action    = ["ssm:DeleteParameter", "ssm:GetParameter", "ssm:GetParameters", "ssm:PutParameter"]
        Resource  = ["${local.state}/*"]
        Condition = {}
      },
      {
        # Checked on the path alone.
        Sid       = "ListItsState"
        Effect    = "Allow"
        Action    = ["ssm:GetParametersByPath"]
        Resource  = [local.state, "${local.state}/*"]
        Condition = {}
      },
    ],
    # -------------------------------------------------------------- target --
    length(local.images) == 0 ? [] : [{
      # EC2 reads the parameter as the caller, too, when a launch template says resolve:ssm. The tag ecsroll:group is read first.
      Sid       = "SetTheImage"
      Effect    = "Allow"
      Action    = ["ssm:GetParameter", "ssm:GetParameters", "ssm:ListTagsForResource", "ssm:PutParameter"]
      Resource  = local.images
      Condition = {}
    }],
    length(local.launch_templates) == 0 ? [] : [
      {
        Sid       = "SetTheLaunchTemplate"
        Effect    = "Allow"
        Action    = ["ec2:CreateLaunchTemplateVersion", "ec2:DeleteLaunchTemplateVersions", "ec2:ModifyLaunchTemplate"]
        Resource  = local.launch_templates
        Condition = {}
      },
      {
        # Never called: Auto Scaling checks that whoever gives a group another template could launch by it.
        Sid       = "LaunchByTheseTemplatesOnly"
        Effect    = "Allow"
        Action    = ["ec2:RunInstances"]
        Resource  = ["*"]
        Condition = { ArnEquals = { "ec2:LaunchTemplate" = local.launch_templates } }
      },
    ],
    !var.launch_configurations ? [] : [
      {
        Sid       = "CopyLaunchConfigurations"
        Effect    = "Allow"
        Action    = ["autoscaling:CreateLaunchConfiguration"]
        Resource  = ["${local.autoscaling}:launchConfiguration:*:launchConfigurationName/*"]
        Condition = {}
      },
      {
        # Checked as above; a launch configuration has no ARN that a condition could name.
        Sid       = "LaunchByLaunchConfigurations"
        Effect    = "Allow"
        Action    = ["ec2:RunInstances"]
        Resource  = ["*"]
        Condition = local.in_region
      },
    ],
    length(local.launch_templates) == 0 && !var.launch_configurations ? [] : [
      {
        # Checked with the launch, for the tags that the template gives.
        Sid       = "TagWhatIsLaunched"
        Effect    = "Allow"
        Action    = ["ec2:CreateTags"]
        Resource  = [for type in ["instance", "network-interface", "volume"] : "arn:${local.partition}:ec2:${local.region}:${local.account}:${type}/*"]
        Condition = { StringEquals = { "ec2:CreateAction" = "RunInstances" } }
      },
      {
        Sid       = "GiveHostsTheirRole"
        Effect    = "Allow"
        Action    = ["iam:PassRole"]
        Resource  = distinct([for group in var.groups : group.role_arn])
        Condition = { StringEquals = { "iam:PassedToService" = "ec2.amazonaws.com" } }
      },
    ],
  )

  # An empty condition is no condition.
  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [for statement in local.statements : { for key, value in statement : key => value if key != "Condition" || try(length(keys(value)), 0) > 0 }]
  })
}
