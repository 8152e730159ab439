"""A roll told as a story: one paragraph a meaningful moment, hosts in a compact picture, nothing said twice.

Hosts get letters in the order in which they appear. ``a`` runs the old image, ``A`` the new one.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from string import ascii_lowercase

from ecsroll.events import Event
from ecsroll.model import Host, Snapshot, Verdict, Wait
from ecsroll.tally import Tally
from tests.rolls import Step, Told

__all__ = ["KEY", "story"]

KEY = """\
hosts: a, b, c in the order of their coming, CAPITAL with the new image, then their tasks; ~ is booting,
> drains, ! has lost its agent, x is leaving. [3] is what the group wants. Times are minutes:seconds.
"""


@dataclass
class _Teller:
    told: Told
    names: dict[str, str] = field(default_factory=dict)
    new: set[str] = field(default_factory=set)
    began: datetime | None = None
    lines: list[str] = field(default_factory=list)
    picture: str = ""
    waits: set[tuple[str, str]] = field(default_factory=set)
    stopped: bool = False

    def tell(self) -> list[str]:
        for number, step in enumerate(self.told.steps):
            if number in self.told.deaths:
                self.lines.append(f"{self._time(step.round.seen.at)}  *** {self.told.between} ***")
                self.picture, self.waits, self.stopped = "", set(), False
            self._step(step)
        return self.lines

    def _step(self, step: Step) -> None:
        seen = step.round.seen
        self.began = self.began or seen.at
        picture = self._picture(seen)
        said = [self._event(event) for event in step.events if event.kind not in _UNTOLD]
        stop = step.round.memory.stop
        if stop is not None and not self.stopped:
            self.stopped = True
            said.insert(0, f"THE ROLL STOPS: {self._named(stop.reason)}")
        waits = {(wait.kind, wait.subject): self._wait(wait) for wait in _worth(step)}
        news = [line for key, line in waits.items() if key not in self.waits]
        if not said and not news:
            return
        self.waits = set(waits)
        self.lines.append(f"{self._time(seen.at)}  {picture if picture != self.picture else '...'}")
        self.picture = picture
        self.lines += [f"       - {line}" for line in said]
        self.lines += [f"       . waits {line}" for line in news]

    def _time(self, at: datetime) -> str:
        passed = at - (self.began or at)
        return f"{int(passed / timedelta(minutes=1)):2}:{int(passed.total_seconds()) % 60:02}"

    # the picture

    def _picture(self, seen: Snapshot) -> str:
        parts = []
        for name, group in seen.groups.items():
            for host in sorted(seen.of(group), key=lambda host: (host.launched_at, host.id)):
                self._meet(host)
            shown = sorted(seen.of(group), key=lambda host: list(self.names).index(host.id))
            title = f"{name} " if len(seen.groups) > 1 else ""
            parts.append(f"{title}[{group.desired}] {'  '.join(self._shown(host, seen) for host in shown)}")
        return "   ".join(parts)

    def _meet(self, host: Host) -> None:
        if host.id not in self.names:
            letters = ascii_lowercase
            number = len(self.names)
            self.names[host.id] = letters[number % 26] * (number // 26 + 1)
        if host.image in self.told.stage.new_image.values():
            self.new.add(host.id)

    def _name(self, host: str) -> str:
        name = self.names.get(host, host)
        return name.upper() if host in self.new else name

    def _shown(self, host: Host, seen: Snapshot) -> str:
        name = self._name(host.id)
        if host.leaving:
            return f"x{name}"
        if host.arn is None or host.lifecycle != "InService":
            return f"~{name}"
        sign = ">" if host.draining else "" if host.connected else "!"
        here = sum(1 for task in seen.on(host) if not task.stopped and not task.daemon)
        counted = max(0, host.tasks - _daemons(seen))
        return f"{sign}{name}{max(here, counted) if host.draining else counted}"

    # the words

    def _named(self, sentence: str) -> str:
        for host in sorted(self.names, key=len, reverse=True):
            sentence = sentence.replace(host, self._name(host))
        return _images(sentence, self.told)

    def _wait(self, wait: Wait) -> str:
        if wait.reason.startswith(("until", "for")):
            return self._named(wait.reason)
        if wait.kind == "successor":
            return f"for a successor: {wait.reason}"
        joint = ", which " if wait.kind == "boot" else ": "
        limit = f"; until {self._time(wait.until).strip()} at most" if wait.until else ""
        return self._named(f"for {wait.subject}{joint}{wait.reason}{limit}")

    def _event(self, event: Event) -> str:
        facts = event.facts
        hosts = ", ".join(self._name(host) for host in facts.get("hosts", [facts.get("host", "")]))
        why = self._named(str(facts["why"]))
        words = {
            "roll_opened": f"the roll begins: {why}",
            "roll_progressed": why,
            "roll_closed": f"the roll ends, {facts.get('result')}: {why}",
            "target_set": f"{facts.get('group')} is pointed at the new image: {why}",
            "target_restored": f"the target goes back: {why}",
            "size_set": f"MinSize {facts.get('min')}, MaxSize {facts.get('max')}: {why}",
            "rebalance_suspended": f"AZRebalance is suspended: {why}",
            "rebalance_resumed": f"AZRebalance runs again: {why}",
            "drain_started": f"drains {hosts}: {why}",
            "drain_undone": f"{hosts} made ACTIVE again: {why}",
            "tasks_stopped": f"stops {len(facts.get('tasks', []))} task(s) on {hosts}: {why}",
            "host_terminated": f"terminates {hosts}: {why}",
            "host_kept": f"keeps {hosts}, {self._named(str(facts.get('found')))}",
            "host_deregistered": f"deregisters {hosts}: {why}",
            "protection_removed": f"unprotects {hosts}: {why}",
        }
        return words[event.kind]


_UNTOLD = {"ledger_noted", "ledger_forgotten", "waiting"}


def _worth(step: Step) -> list[Wait]:
    """That the next one has to wait goes without saying, as long as something else is waited for."""
    waits = step.round.decision.waits
    return [wait for wait in waits if wait.kind != "successor"] or list(waits)


def _daemons(seen: Snapshot) -> int:
    return sum(service.daemon for service in seen.services.values())


def _images(sentence: str, told: Told) -> str:
    for image in told.stage.new_image.values():
        sentence = sentence.replace(image, "the new image")
    for image in told.stage.old_image.values():
        sentence = sentence.replace(image, "the old image")
    return sentence


def story(title: str, what: str, told: Told) -> str:
    """The whole text: title, what it shows, what happened, how it ended."""
    teller = _Teller(told)
    lines = [title, "=" * len(title), "", what, "", KEY, *teller.tell(), "", *_end(told, teller)]
    return "\n".join(lines) + "\n"


def _end(told: Told, teller: _Teller) -> list[str]:
    tally = Tally()
    for step in told.steps:
        tally.read(step.round.seen)
    verdict = told.verdict
    assert isinstance(verdict, Verdict)
    lines = [f"result: {verdict.result}: {teller._named(verdict.reason)}"]
    if verdict.next:
        lines.append(f"next:   {verdict.next}")
    lines.append(
        f"        {verdict.replaced} replaced, {verdict.remaining} remaining, {tally.peak} hosts at most, "
        f"{len(tally.moved)} moves of {tally.tasks} tasks, {_spelled(tally.took)} in all"
    )
    lines += [f"owed:   {owed.group}: {owed.what}; {owed.how}" for owed in verdict.owed]
    if not verdict.owed:
        lines += [_given_back(told, name) for name in told.watch.rolled]
    return lines


def _spelled(span: timedelta) -> str:
    seconds = int(span.total_seconds())
    return f"{seconds // 60}m {seconds % 60:02}s"


def _given_back(told: Told, name: str) -> str:
    group = told.stage.sim.scaling.groups[name]
    protected = sum(member.protected for member in group.members.values())
    return (
        f"after:  {name}: desired {group.desired}, MinSize {group.min}, MaxSize {group.max}, {protected} protected, "
        f"suspended: {', '.join(sorted(group.suspended)) or 'nothing'}"
    )
