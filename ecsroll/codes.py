"""Every finding's code, with its headline: what ``--allow`` accepts, and what docs/findings.md explains one by one."""

from collections.abc import Mapping

__all__ = ["CODES", "code"]

CODES: Mapping[str, str] = {
    "EC101": "A group outside the roll follows the same launch target",
    "EC102": "Launch or Terminate is suspended",
    "EC103": "MaxSize leaves no room, and it is to stay",
    "EC104": "The parameter says something else than what is recommended",
    "EC105": "Nothing may be added and nothing may be missing",
    "EC110": "A service's bounds allow neither a start nor a stop",
    "EC111": "No new host will satisfy a placement constraint",
    "EC112": "A constraint asks for an attribute that new hosts may lack",
    "EC113": "A task fits on no new host",
    "EC114": "A host for each task, and not enough hosts",
    "EC115": "No room for the tasks of a host",
    "EC116": "A service on one host will blink",
    "EC117": "Room is tight: it depends on where ECS places tasks",
    "EC118": "Standalone tasks run on hosts that are to leave",
    "EC119": "Tasks are protected from scale-in",
    "EC120": "Data lies on the hosts",
    "EC121": "A volume is bound to its zone",
    "EC122": "Hosts with daemons only, under termination protection",
    "EC123": "A deployment is going on",
    "EC124": "A service has less than it wants",
    "EC125": "What ran on the canary has no room elsewhere",
    "EC130": "An instance refresh is under way",
    "EC131": "The last launches failed",
    "EC132": "The warm pool holds another image",
    "EC133": "Another AWS service owns the group",
    "EC134": "The template changes more than the image",
    "EC135": "The target is older than what runs",
    "EC136": "MaxSize is raised for the time of the roll",
    "EC137": "The group counts in weights, not in hosts",
    "EC140": "Agents are away",
    "EC141": "Container instances without an EC2 instance",
    "EC142": "Somebody else drains hosts",
    "EC143": "Managed instances are skipped",
    "EC144": "Old hosts are in Standby",
    "EC145": "Hosts are in no group",
    "EC150": "Permissions are missing",
    "EC151": "Permissions could not be verified",
    "EC160": "A group has no tasks that a canary could be judged by",
    "EC161": "A named alarm is not there",
    "EC162": "No window is open",
    "EC180": "The rehearsed roll does not come to a good end",
    "EC181": "The roll could not be rehearsed",
    "EC190": "An optional reading failed",
}


def code(text: str) -> str:
    """The code of a finding. Raises ValueError with a sentence."""
    if text.upper() not in CODES:
        raise ValueError(f"{text!r} is no finding's code, such as EC115; docs/findings.md has them all")
    return text.upper()
