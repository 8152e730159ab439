"""Every way a run can fail: one class, one exit code, one hint.

``docs/exit-codes.md`` is tested against this tree (DESIGN 7)::

    EcsrollError            1   a bug, or an answer that AWS should not give
    ├── UsageError          2   the words of the command are off
    ├── NotFound            3   no such cluster, group, host or image
    ├── Refused             4   a guard said no; nothing was changed
    ├── Halted              5   stopped safely half way; run again
    ├── AwsRefusal          1   AWS refused a call for a reason that its caller did not expect
    ├── AwsUnavailable      6   denied, throttled or unreachable
    └── Held                7   another roll holds the cluster
        └── LeaseLost       7   ours ran out; run again

The words "outdated" (8, ``check-ami --exit-code``) and "interrupted" (130) are results, not errors.
"""

from typing import ClassVar

__all__ = [
    "EXIT_INTERRUPTED",
    "EXIT_OK",
    "EXIT_OUTDATED",
    "AwsRefusal",
    "AwsUnavailable",
    "EcsrollError",
    "Halted",
    "Held",
    "LeaseLost",
    "NotFound",
    "Refused",
    "UsageError",
]

EXIT_OK = 0
EXIT_OUTDATED = 8
EXIT_INTERRUPTED = 130


class EcsrollError(Exception):
    """What went wrong in one sentence, and what the operator can do about it."""

    exit_code: ClassVar[int] = 1
    result: ClassVar[str] = "error"

    def __init__(self, what: str, *, hint: str) -> None:
        super().__init__(what)
        self.hint = hint


class UsageError(EcsrollError):
    """The words of the command are off; nothing was asked of AWS."""

    exit_code = 2


class NotFound(EcsrollError):
    """There is no such cluster, group, host or image."""

    exit_code = 3


class Refused(EcsrollError):
    """A guard said no before anything was changed; the hint names the flag that allows it."""

    exit_code = 4
    result = "refused"


class Halted(EcsrollError):
    """A roll stopped itself safely half way; the same command goes on."""

    exit_code = 5
    result = "halted"


class AwsUnavailable(EcsrollError):
    """AWS denied the call, throttled it past patience, or could not be reached."""

    exit_code = 6


class AwsRefusal(EcsrollError):
    """AWS refused a call: its error code and sentence. Whoever made the call may know what it means."""

    def __init__(self, code: str, sentence: str, *, call: str) -> None:
        super().__init__(f"{call} was refused: {sentence} ({code})", hint="this should not happen: please report it")
        self.code = code
        self.sentence = sentence
        self.call = call


class Held(EcsrollError):
    """Another roll holds this cluster."""

    exit_code = 7
    result = "held"


class LeaseLost(Held):
    """Our own lease ran out before it could be renewed: nobody else need hold the cluster."""
