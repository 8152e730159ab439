"""The group: how much room it lends, what keeps scale-in out, which host goes next, what is given back when. Pure.

Room is asked for in one call: MinSize is set to DesiredCapacity plus the surge, and DesiredCapacity itself is never
set: AWS lifts it to MinSize (aws-facts 5.1). So a late or repeated call harms nothing, and a scale-out by others is
never overwritten. The floor, not protection, keeps scale-in out and lets scale-out in.
"""

from collections import Counter, deque
from collections.abc import Iterable, Sequence
from dataclasses import replace

from ecsroll.ledger import Ledger, Phase, Place, Pointed, Room
from ecsroll.model import Group, Host, Launches, Owed, Policy, SetSize, Snapshot

__all__ = [
    "arrived",
    "ask_room",
    "bounds",
    "debt",
    "entry_for",
    "entry_of",
    "follow",
    "from_fullest",
    "in_doubt",
    "in_zone",
    "landed",
    "launch_of",
    "launches_of",
    "lopsided",
    "name_of",
    "natural",
    "one_more",
    "outdated",
    "owed",
    "returned",
    "settle",
    "strange",
    "surge_for",
    "unasked",
    "uneven",
    "wider",
    "zone_order",
]


# Room ------------------------------------------------------------------------------------------------------------


def natural(group: Group, room: Room | None) -> int:
    """How many hosts the group wants by itself: DesiredCapacity less what we borrowed."""
    if room is None or not (room.lent or landed(group, room)):
        return group.desired
    lost = max(0, room.floor - group.desired)
    return group.desired - max(0, room.borrowed - lost)


def surge_for(group: Group, old: int, policy: Policy) -> int:
    """How many hosts to borrow: never more than there are to replace, nor than MaxSize lets if it has to stay."""
    wanted = old if policy.strategy == "double" else policy.surge.of(group.desired, up=True)
    surge = min(wanted, old)
    return max(0, min(surge, group.max - group.desired)) if policy.keep_max_size else surge


def ask_room(group: Group, surge: int, policy: Policy) -> Room:
    """The entry to be noted before the room is asked for."""
    floor = group.desired + surge
    ceiling = group.max if policy.keep_max_size else max(group.max + surge, floor)
    return Room(
        phase=Phase.ASKING,
        borrowed=surge,
        floor=floor,
        ceiling=ceiling,
        min_was=group.min,
        max_was=group.max,
        protects_was=group.protects_new,
    )


def landed(group: Group, room: Room) -> bool:
    """Whether the call that asked for room has landed: only while ``asking`` does MinSize tell."""
    return room.phase is not Phase.ASKING or (group.min == room.floor and group.max == room.ceiling)


def one_more(group: Group, room: Room, policy: Policy) -> Room | None:
    """The entry with room for one host more, when all that was lent is back; None where the policy allows none."""
    floor = group.desired + 1
    none_at_all = policy.surge.value == 0 and policy.strategy == "rolling"
    if none_at_all or (policy.keep_max_size and floor > room.ceiling):
        return None
    return replace(room, phase=Phase.ASKING, borrowed=1, floor=floor, ceiling=max(room.ceiling, floor))


def unasked(group: Group, room: Room) -> bool:
    """Whether the first asking was noted and never made (a process died between): all of it reads as it was.

    What the group wants may have changed since, so then it is asked anew from what it wants today. Bounds that somebody
    has put back before a reading showed them (a ``terraform apply``) must not count as never asked for: DesiredCapacity
    has been lifted then, and would be a second time. The protection at birth was set by the same call, and tells.
    """
    as_it_was = (room.min_was, room.max_was, room.protects_was)
    reads = (group.min, group.max, group.protects_new)
    return not room.lent and not landed(group, room) and reads == as_it_was


def bounds(room: Room, group: Group, why: str) -> SetSize:
    """The call that sets what the entry says. Birth protection is the second belt; the floor is the first."""
    return SetSize(group=group.name, min=room.floor, max=room.ceiling, protects_new=True, why=why)


def follow(group: Group, room: Room) -> Room | None:
    """The entry with a floor that has followed the group, or None if nothing has moved.

    DesiredCapacity rose: others scaled out, and the floor goes up with it so that scale-in takes nothing. MinSize or
    MaxSize is not what we set: theirs becomes the value to give back. DesiredCapacity below our floor: somebody
    lowered both (a ``terraform apply`` does), which took borrowed room back; it is asked for again.
    """
    floor = natural(group, room) + room.borrowed - len(room.shrinking)
    min_was = room.min_was if group.min == room.floor else group.min
    max_was = room.max_was if group.max == room.ceiling else group.max
    lift = room.borrowed if room.ceiling > room.max_was else 0  # --keep-max-size: MaxSize stays theirs
    ceiling = room.ceiling if group.max == room.ceiling else max(group.max + lift, floor)
    moved = replace(room, floor=floor, ceiling=max(ceiling, floor), min_was=min_was, max_was=max_was)
    if moved == room and group.min == room.floor and group.max == room.ceiling:
        return None
    return replace(moved, phase=Phase.ASKING)


def wider(group: Group, room: Room, old: int, policy: Policy) -> Room | None:
    """The entry with more room, where the policy lets more be borrowed than is; None where it does not.

    A rerun may have been given another surge. Room that is lent already stays until the last hosts shrink the group.
    """
    wanted = min(policy.surge.of(natural(group, room), up=True), old)
    more = wanted - room.borrowed
    if policy.keep_max_size:
        more = min(more, room.ceiling - room.floor)
    if policy.strategy == "double" or room.shrinking or more <= 0:
        return None
    floor = room.floor + more
    ceiling = room.ceiling if policy.keep_max_size else room.ceiling + more
    return replace(room, phase=Phase.ASKING, borrowed=room.borrowed + more, floor=floor, ceiling=ceiling)


def settle(group: Group, room: Room, live: frozenset[str]) -> Room:
    """The entry after the hosts that were to shrink the group have gone: each that did is one host less borrowed.

    A host that died by itself meanwhile was replaced by the group and lowered nothing. The activity's cause tells; when
    DesiredCapacity has come down as far as it was to, no activity needs to be asked.
    """
    still = tuple(host for host in room.shrinking if host in live)
    gone = [host for host in room.shrinking if host not in live]
    came_down = group.desired <= room.floor + len(still)
    paid = sum(1 for host in gone if came_down or host in group.shrunk)
    return replace(room, shrinking=still, borrowed=max(0, room.borrowed - paid))


def in_doubt(group: Group, room: Room | None, live: frozenset[str]) -> bool:
    """Whether only the activities can tell if a termination lowered DesiredCapacity."""
    if room is None:
        return False
    still = sum(1 for host in room.shrinking if host in live)
    return still < len(room.shrinking) and group.desired > room.floor + still


def returned(group: Group, room: Room) -> SetSize:
    """The call that gives the bounds back: MaxSize never under what the group has come to want meanwhile."""
    return SetSize(
        group=group.name,
        min=room.min_was,
        max=max(room.max_was, group.desired),
        protects_new=room.protects_was,
        why=f"nothing is borrowed any more: MinSize back to {room.min_was}",
    )


def debt(group: Group, live: int) -> int:
    """Hosts that the group has above DesiredCapacity (protected ones it could not take): a termination pays one."""
    return live - group.desired


# Zones -----------------------------------------------------------------------------------------------------------


def uneven(hosts: Iterable[Host], zones: Sequence[str]) -> int:
    """The difference between the fullest and the emptiest zone: above 1, AZRebalance would move hosts."""
    counts = Counter(dict.fromkeys(zones, 0))
    counts.update(host.zone for host in hosts)
    return max(counts.values(), default=0) - min(counts.values(), default=0)


def lopsided(hosts: Iterable[Host]) -> int:
    """A finer measure than ``uneven``: whenever a host leaves a fuller zone by two for an emptier one, it goes down."""
    return sum(count * count for count in in_zone(hosts).values())


def in_zone(hosts: Iterable[Host]) -> Counter[str]:
    """How many of the hosts are in each zone."""
    return Counter(host.zone for host in hosts)


def from_fullest(hosts: Sequence[Host], live: Iterable[Host]) -> list[Host]:
    """The hosts in the order in which they can leave one after another, always from the zone that is fullest then.

    Within a zone their own order stays. Several leave in one round, so each has to count before the next is chosen.
    """
    filled = in_zone(live)
    waiting: dict[str, deque[Host]] = {}
    for host in hosts:
        waiting.setdefault(host.zone, deque()).append(host)
    order: list[Host] = []
    while waiting:
        zone = max(waiting, key=lambda name: filled[name])
        order.append(waiting[zone].popleft())
        filled[zone] -= 1
        if not waiting[zone]:
            del waiting[zone]
    return order


def zone_order(hosts: Iterable[Host], old: Iterable[Host], live: Iterable[Host]) -> list[tuple[tuple[int, int], Host]]:
    """Hosts with their zone's rank: the zones with the most old hosts first, of equals the emptiest.

    A successor comes up in the zone that its host has left, so the surplus stays where the room was made. Drained in
    turns, the last old hosts stand in different zones, and in the fullest ones: they are those that make the group
    smaller again, and that must leave the zones even.
    """
    left, filled = in_zone(old), in_zone(live)
    return [((-left[host.zone], filled[host.zone]), host) for host in hosts]


# What it launches ------------------------------------------------------------------------------------------------


def launch_of(group: Group, host: Host) -> Launches | None:
    """Which of the group's launches the host came from, or else would come from today."""
    ours = (launches for launches in group.launches if launches.name in {host.template, host.configuration})
    return next(ours, group.launches[0] if group.launches else None)


def entry_for(launches: Launches, image: str | None, epoch: int, back_to: str | None = None) -> Pointed:
    """The entry to be noted for one of the group's launches; ``held`` at once where nothing has to change.

    ``back_to``: the version (or launch configuration) with that image that is there already, in a rollback.
    """
    wanted = image or launches.image or ""
    stays = wanted == launches.image or launches.place is Place.PUBLIC
    return Pointed(
        phase=Phase.HELD if stays else Phase.ASKING,
        place=launches.place,
        name=name_of(launches),
        spec=launches.spec,
        image_was=launches.image or "",
        image=launches.image or "" if stays else wanted,
        version_was=launches.version,
        version=back_to if back_to and not stays else _version(launches, wanted, epoch, stays=stays),
    )


def _version(launches: Launches, image: str, epoch: int, *, stays: bool) -> str | None:
    """The version that is to be launched, as far as it is known before it is made.

    A launch configuration can not be changed, so it is copied, under a name that a rerun finds again.
    """
    if launches.place is Place.CONFIGURATION and not stays:
        return f"{launches.name.partition('.ecsroll-')[0][:200]}.ecsroll-{epoch}-{image}"
    return launches.version if stays or launches.place is Place.PARAMETER else None


def name_of(launches: Launches) -> str:
    """What is changed to make these launches get another image: the template, its parameter, the configuration."""
    return launches.parameter or launches.name if launches.place is Place.PARAMETER else launches.name


def entry_of(pointed: Sequence[Pointed], launches: Launches | None) -> Pointed | None:
    """The page's entry for some of the group's launches. A copied launch configuration goes by its new name."""
    if launches is None:
        return None
    names = {name_of(launches)}
    return next((entry for entry in pointed if {entry.name, entry.version} & names), None)


def launches_of(group: Group, entry: Pointed) -> Launches | None:
    """The group's launches that a page's entry speaks of."""
    return next((launches for launches in group.launches if entry_of((entry,), launches)), None)


def arrived(launches: Launches | None, entry: Pointed) -> bool:
    """Whether a reading shows that the launches get the image that they were pointed at."""
    return launches is not None and launches.image == entry.image


def strange(host: Host, group: Group) -> bool:
    """Whether the host is not what its group launches now, whatever a roll had wanted."""
    launches = launch_of(group, host)
    return launches is not None and host.image not in {None, launches.image}


def outdated(host: Host, group: Group, pointed: Sequence[Pointed]) -> bool:
    """Whether the host is not what its group is to launch.

    The image decides; a template version tells besides when user data or anything else has changed. A host of a
    template (or configuration) that the group does not name any more is outdated.
    """
    launches = launch_of(group, host)
    entry = entry_of(pointed, launches)
    if launches is None or entry is None:
        return False
    if host.template is None and host.configuration is None and host.image is None:
        return False  # just launched: nothing is known of it yet
    wanted = {entry.image, launches.image} if entry.place is Place.PUBLIC else {entry.image}
    if host.image is not None and host.image not in wanted:
        return True
    if entry.place is Place.CONFIGURATION:
        return host.configuration not in {entry.version or entry.name, None}
    if host.template not in {launches.name, None}:
        return True
    return None not in {host.version, entry.version} and host.version != entry.version


def is_back(group: Group, room: Room) -> bool:
    """Whether a reading shows the group's bounds as they were: the entry stays until new hosts are unprotected."""
    back = returned(group, room)
    reads = (group.min, group.max, group.protects_new) == (back.min, back.max, back.protects_new)
    return room.phase is Phase.RETURNING and not room.borrowed and reads


def owed(ledger: Ledger, verb: str = "replace", seen: Snapshot | None = None) -> tuple[Owed, ...]:
    """Everything on the page that has not been given back, each with what gives it back; not what is ``seen`` to be."""
    again = f"run the same {verb} again"
    entries: list[Owed] = []
    room, group = ledger.room, seen.groups.get(ledger.group) if seen else None
    if room is not None and (group is None or not is_back(group, room)):
        what = f"{room.borrowed} borrowed host(s), MinSize {room.floor} (was {room.min_was}), MaxSize {room.ceiling}"
        entries.append(Owed(group=ledger.group, what=f"{what} (was {room.max_was})", how=again))
    elif room is not None and seen is not None and group is not None and not room.protects_was:
        born = sum(host.protected and host.launched_at > ledger.newest for host in seen.of(group))
        what = f"{born} new host(s) are protected from scale-in"
        entries += [Owed(group=ledger.group, what=what, how=again)] if born else []
    if ledger.rebalance is not None:
        entries.append(Owed(group=ledger.group, what="AZRebalance is suspended", how=again))
    entries.extend(
        Owed(group=ledger.group, what=f"launches {entry.image} instead of {entry.image_was}", how=again)
        for entry in ledger.pointed
        if entry.phase is Phase.RETURNING
    )
    return tuple(entries)
