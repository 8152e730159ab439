mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  cluster_name = "demo"
  environment  = "test"
  groups = [
    {
      autoscaling_group_name = "demo-general"
      role_arn               = "arn:aws:iam::123456789012:role/demo-general-hosts"
      image_parameter_arn    = "arn:aws:ssm:us-east-1:123456789012:parameter/ecs-image/demo/demo-general"
      launch_template_arn    = "arn:aws:ec2:us-east-1:123456789012:launch-template/lt-0123456789abcdef0"
    },
  ]
  codebuild = { source = "ecsroll==1.2.3" }
}

run "rolls_unattended" {
  command = plan

  variables {
    options = ["--max-surge", "2", "--window", "Mon-Fri 22:00-04:00 Europe/Berlin"]
    alarms  = ["web-5xx"]
  }

  assert {
    condition     = output.command == "ecsroll replace --cluster demo --asg demo-general --alarm web-5xx --max-surge 2 --window 'Mon-Fri 22:00-04:00 Europe/Berlin' --yes --json"
    error_message = "The named groups of the cluster, without a question, in JSON."
  }
}

run "touches_this_cluster_only" {
  command = plan

  assert {
    condition = alltrue([for statement in jsondecode(output.policy).Statement :
      alltrue([for action in statement.Action : !startswith(action, "ecs:") || contains(["ecs:ListClusters", "ecs:DescribeTaskDefinition", "ecs:DescribeCapacityProviders"], action)])
      || alltrue([for resource in statement.Resource : strcontains(resource, "/demo")])
      || try(statement.Condition.ArnEquals["ecs:cluster"], []) == ["arn:aws:ecs:us-east-1:123456789012:cluster/demo"]
    ])
    error_message = "Whatever ECS can bind to a cluster must be bound to it."
  }
}

run "changes_the_named_groups_only" {
  command = plan

  assert {
    condition = one([for statement in jsondecode(output.policy).Statement : statement.Resource if statement.Sid == "MakeRoomAndReplaceHosts"]) == [
    "arn:aws:autoscaling:us-east-1:123456789012:autoScalingGroup:*:autoScalingGroupName/demo-general"]
    error_message = "No other group."
  }
  assert {
    condition     = one([for statement in jsondecode(output.policy).Statement : statement.Resource if statement.Sid == "SetTheImage"]) == ["arn:aws:ssm:us-east-1:123456789012:parameter/ecs-image/demo/demo-general"]
    error_message = "No other image parameter."
  }
  assert {
    condition     = one([for statement in jsondecode(output.policy).Statement : statement.Condition if statement.Sid == "SetTheImage"]) == { StringEquals = { "ssm:Overwrite" = ["true"] }, StringLike = { "aws:ResourceTag/ecsroll:group" = ["demo-general"] } }
    error_message = "Only one that is there and tagged for the group."
  }
}

run "writes_nothing_on_everything" {
  command = plan

  assert {
    condition = alltrue(flatten([for statement in jsondecode(output.policy).Statement : [for action in statement.Action :
      can(regex(":(Describe|List|Get)", action)) || !contains(statement.Resource, "*") || can(statement.Condition.ArnEquals["ec2:LaunchTemplate"])
    ]]))
    error_message = "What changes something must name what it changes."
  }
  assert {
    condition     = alltrue(flatten([for statement in jsondecode(output.policy).Statement : [for action in statement.Action : !strcontains(action, "*")]]))
    error_message = "No action by pattern."
  }
}

run "launches_by_the_groups_templates_only" {
  command = plan

  variables {
    groups = [{
      autoscaling_group_name = "demo-old"
      role_arn               = "arn:aws:iam::123456789012:role/demo-old-hosts"
      launch_template_arn    = "arn:aws:ec2:us-east-1:123456789012:launch-template/lt-0123456789abcdef0"
    }]
  }

  assert {
    condition     = one([for statement in jsondecode(output.policy).Statement : statement.Condition if contains(statement.Action, "ec2:RunInstances")]).ArnEquals["ec2:LaunchTemplate"] == ["arn:aws:ec2:us-east-1:123456789012:launch-template/lt-0123456789abcdef0"]
    error_message = "RunInstances is checked by AWS, and bound to the templates."
  }
  assert {
    condition     = one([for statement in jsondecode(output.policy).Statement : statement if contains(statement.Action, "iam:PassRole")]).Resource == ["arn:aws:iam::123456789012:role/demo-old-hosts"] && one([for statement in jsondecode(output.policy).Statement : statement if contains(statement.Action, "iam:PassRole")]).Condition.StringEquals["iam:PassedToService"] == ["ec2.amazonaws.com"]
    error_message = "The hosts' role, to EC2."
  }
}

run "never_terminates_behind_the_groups_back" {
  command = plan

  assert {
    condition     = !contains(flatten([for statement in jsondecode(output.policy).Statement : statement.Action]), "ec2:TerminateInstances") && !contains(flatten([for statement in jsondecode(output.policy).Statement : statement.Action]), "autoscaling:SetDesiredCapacity")
    error_message = "Hosts go through their group, and desired capacity is moved by its floor."
  }
}

run "keeps_its_state_under_the_cluster" {
  command = plan

  assert {
    condition     = one([for statement in jsondecode(output.policy).Statement : statement.Resource if contains(statement.Action, "ssm:DeleteParameter")]) == ["arn:aws:ssm:us-east-1:123456789012:parameter/ecsroll/demo/*"]
    error_message = "Lease and ledger of this cluster only."
  }
}

run "a_group_with_a_parameter_launches_nothing_itself" {
  command = plan

  assert {
    condition     = length(setintersection(flatten([for statement in jsondecode(output.policy).Statement : statement.Action]), ["ec2:RunInstances", "ec2:CreateLaunchTemplateVersion", "iam:PassRole", "ec2:CreateTags"])) == 0
    error_message = "A group whose image is a parameter, as those of ecs_instances, can be rolled without any of them."
  }
}

run "launch_configurations_when_asked_for" {
  command = plan

  variables {
    launch_configurations = true
  }

  assert {
    condition     = contains(flatten([for statement in jsondecode(output.policy).Statement : statement.Action]), "autoscaling:CreateLaunchConfiguration")
    error_message = "ecsroll copies them."
  }
}

run "sees_alarms_when_it_is_given_some" {
  command = plan

  variables {
    alarms = ["web-5xx"]
  }

  assert {
    condition     = contains(flatten([for statement in jsondecode(output.policy).Statement : statement.Action]), "cloudwatch:DescribeAlarms")
    error_message = "--alarm needs it."
  }
}

run "statements_have_their_own_names" {
  command = plan

  variables {
    alarms                = ["web-5xx"]
    launch_configurations = true
  }

  assert {
    condition     = length(distinct([for statement in jsondecode(output.policy).Statement : statement.Sid])) == length(jsondecode(output.policy).Statement)
    error_message = "IAM refuses a policy with one Sid twice."
  }
}

run "refuses_options_that_others_set" {
  command = plan

  variables {
    options = ["--cluster=other"]
  }

  expect_failures = [var.options]
}

run "refuses_places_that_the_policy_would_not_know" {
  command = plan

  variables {
    options = ["--tell", "arn:aws:sns:us-east-1:123456789012:alerts"]
  }

  expect_failures = [var.options]
}

run "refuses_no_group" {
  command = plan

  variables {
    groups = []
  }

  expect_failures = [var.groups]
}

run "fills_in_every_word_of_the_table" {
  command = plan

  variables {
    alarms                = ["web-5xx"]
    launch_configurations = true
    tell                  = ["arn:aws:sns:us-east-1:123456789012:alerts", "bus:ops", "slack:secret:slack"]
    webhook_secret        = "ssm:/hooks/key"
    queue_arns            = ["arn:aws:sqs:us-east-1:123456789012:watch"]
  }

  assert {
    condition     = length(regexall("\\{\\w+\\}", output.policy)) == 0
    error_message = "A word in braces of permissions.json that policy.tf does not know."
  }
}

run "refuses_a_group_name_that_is_a_pattern" {
  command = plan

  variables {
    groups = [{ autoscaling_group_name = "demo-*", role_arn = "arn:aws:iam::123456789012:role/demo-general-hosts" }]
  }

  expect_failures = [var.groups]
}

run "refuses_no_place_to_run" {
  command = plan

  variables {
    codebuild = null
  }

  expect_failures = [var.fargate]
}

run "tells_just_the_places_that_are_named" {
  command = plan

  variables {
    tell           = ["arn:aws:sns:us-east-1:123456789012:alerts", "bus:ops", "slack:ssm:/hooks/slack", "webhook:https://example.com/hook", "log"]
    webhook_secret = "secret:hooks"
  }

  assert {
    condition     = strcontains(output.command, "--tell arn:aws:sns:us-east-1:123456789012:alerts --tell bus:ops --tell slack:ssm:/hooks/slack --tell webhook:https://example.com/hook --tell log --webhook-secret secret:hooks")
    error_message = "The command must name every place."
  }
  assert {
    condition = { for statement in jsondecode(output.policy).Statement : statement.Sid => statement.Resource if contains(["TellTopics", "TellBuses", "ReadSecretParameters", "ReadSecrets", "TakeFromQueues"], statement.Sid) } == {
      TellTopics           = ["arn:aws:sns:us-east-1:123456789012:alerts"]
      TellBuses            = ["arn:aws:events:us-east-1:123456789012:event-bus/ops"]
      ReadSecretParameters = ["arn:aws:ssm:us-east-1:123456789012:parameter/hooks/slack"]
      ReadSecrets          = ["arn:aws:secretsmanager:us-east-1:123456789012:secret:hooks-??????"]
    }
    error_message = "These places and secrets, and no others."
  }
}

run "tells_nobody_unless_asked" {
  command = plan

  assert {
    condition     = length(setintersection(flatten([for statement in jsondecode(output.policy).Statement : statement.Action]), ["sns:Publish", "events:PutEvents", "secretsmanager:GetSecretValue", "sqs:ReceiveMessage", "cloudwatch:GetMetricData"])) == 0
    error_message = "A roll that tells nobody may tell nobody."
  }
}

run "a_watcher_may_read_its_queue" {
  command = plan

  variables {
    queue_arns = ["arn:aws:sqs:us-east-1:123456789012:watch"]
  }

  assert {
    condition     = one([for statement in jsondecode(output.policy).Statement : statement.Resource if contains(statement.Action, "sqs:ReceiveMessage")]) == ["arn:aws:sqs:us-east-1:123456789012:watch"]
    error_message = "This queue, for ecsroll watch."
  }
}

run "a_watcher_may_count_restarts_if_it_is_said" {
  command = plan

  variables {
    watch_restarts = true
  }

  assert {
    condition     = contains(flatten([for statement in jsondecode(output.policy).Statement : statement.Action]), "cloudwatch:GetMetricData")
    error_message = "Restarts are metrics."
  }
}

run "refuses_a_secret_in_the_open" {
  command = plan

  variables {
    tell           = ["slack:https://hooks.example.com/services/T0/B0/x"]
    webhook_secret = "correct horse battery staple"
  }

  expect_failures = [var.tell, var.webhook_secret]
}

run "refuses_a_queue_by_its_address" {
  command = plan

  variables {
    queue_arns = ["https://sqs.us-east-1.amazonaws.com/123456789012/watch"]
  }

  expect_failures = [var.queue_arns]
}

run "in_china_everything_has_chinas_names" {
  command = plan

  override_data {
    target = data.aws_partition.current
    values = { partition = "aws-cn", dns_suffix = "amazonaws.com.cn" }
  }

  variables {
    alarms                = ["web-5xx"]
    launch_configurations = true
    tell                  = ["bus:ops", "slack:secret:slack"]
    webhook_secret        = "ssm:/hooks/key"
    groups = [{
      autoscaling_group_name = "demo-old"
      role_arn               = "arn:aws-cn:iam::123456789012:role/demo-old-hosts"
      launch_template_arn    = "arn:aws-cn:ec2:cn-north-1:123456789012:launch-template/lt-0123456789abcdef0"
    }]
  }

  assert {
    condition     = !strcontains(output.policy, "arn:aws:")
    error_message = "No ARN of another partition."
  }
  assert {
    condition     = one([for statement in jsondecode(output.policy).Statement : statement.Condition if contains(statement.Action, "iam:PassRole")]).StringEquals["iam:PassedToService"] == ["ec2.amazonaws.com", "ec2.amazonaws.com.cn"]
    error_message = "In China EC2 is passed a role by either name."
  }
}
