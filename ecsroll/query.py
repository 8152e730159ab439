"""The cluster query language: what ``memberOf`` constraints and ListContainerInstances(filter=) are written in.

Knows words and operators, nothing of container instances: it asks for a subject's value (aws-facts 8.1).
"""

import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

__all__ = ["MISSING", "Fact", "Facts", "Query", "QueryError", "parse"]

MISSING = object()
"""What a subject is that the container instance does not have; an attribute without value is None."""

Fact = object
Facts = Callable[[str], Fact]
"""A subject's value: a string, number or boolean, a list of strings (``task:group``), None or MISSING."""
Query = Callable[[Facts], bool]

_TOKEN = re.compile(
    r"""\s*(?:
        (?P<mark>[()\[\],])
      | (?P<op>==|!=|>=|<=|=~|!~|&&|\|\||>|<|!in\b|!exists\b|!)
      | "(?P<double>[^"]*)" | '(?P<single>[^']*)'
      | (?P<word>[^\s()\[\],"'<>=!&|~]+)
    )""",
    re.VERBOSE,
)
# The words for the signs, as the developer guide lists them.
_WORDS = {
    "equals": "==",
    "not_equals": "!=",
    "greater_than": ">",
    "greater_than_equal": ">=",
    "less_than": "<",
    "less_than_equal": "<=",
    "not_in": "!in",
    "not_exists": "!exists",
    "matches": "=~",
    "not_matches": "!~",
    "and": "&&",
    "or": "||",
    "not": "!",
}
_SUBJECTS = ("agentConnected", "agentVersion", "ec2InstanceId", "registeredAt", "runningTasksCount", "task:group")
_ORDER = {">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le}
_NEGATED = {"!=": "==", "!in": "in", "!exists": "exists", "!~": "=~"}


class QueryError(ValueError):
    """An expression that AWS would refuse."""


def _refuse(why: str) -> QueryError:
    return QueryError(f"Invalid expression: {why}")


@lru_cache(maxsize=512)
def parse(expression: str) -> Query:
    """Read an expression. Raises QueryError where AWS would refuse it."""
    if len(expression) > 2000:
        raise _refuse("it is longer than 2000 characters.")
    reader = _Reader(tuple(_tokens(expression)))
    query = reader.either()
    if not reader.done:
        raise _refuse(f"unexpected '{reader.peek()}'.")
    return query


def _tokens(expression: str) -> Sequence[tuple[str, str]]:
    """Split into (kind, text): kind is ``mark``, ``op`` or ``word``."""
    found: list[tuple[str, str]] = []
    at = 0
    while expression[at:].strip():
        if found and found[-1] in (("op", "=~"), ("op", "!~")):
            at = _pattern(expression, at, found)
            continue
        match = _TOKEN.match(expression, at)
        if match is None:
            raise _refuse(f"can not read '{expression[at:].strip()}'.")
        found.append(_token(match))
        at = match.end()
    return found


def _token(match: re.Match[str]) -> tuple[str, str]:
    kind = str(match.lastgroup)
    text = str(match.group(kind))
    if kind == "word" and text.lower() in _WORDS:
        return "op", _WORDS[text.lower()]
    if kind == "word" and text in ("in", "exists"):
        return "op", text
    return ("word" if kind in ("double", "single") else kind), text


def _pattern(expression: str, at: int, found: list[tuple[str, str]]) -> int:
    """A regular expression may hold brackets of its own: read to the blank or bracket that closes it."""
    while expression[at].isspace():
        at += 1
    if expression[at] in "\"'":
        end = expression.find(expression[at], at + 1)
        if end < 0:
            raise _refuse("a quotation mark is not closed.")
        found.append(("word", expression[at + 1 : end]))
        return end + 1
    start, depth = at, 0
    while at < len(expression) and not expression[at].isspace():
        depth += {"(": 1, ")": -1}.get(expression[at], 0)
        if depth < 0:
            break
        at += 1
    found.append(("word", expression[start:at]))
    return at


@dataclass(slots=True)
class _Reader:
    tokens: tuple[tuple[str, str], ...]
    at: int = 0

    @property
    def done(self) -> bool:
        return self.at >= len(self.tokens)

    def peek(self) -> str:
        return self.tokens[self.at][1] if not self.done else ""

    def take(self, kind: str, *texts: str) -> str | None:
        """The next token if it is of that kind (and one of those texts)."""
        if self.done or self.tokens[self.at][0] != kind or (texts and self.peek() not in texts):
            return None
        self.at += 1
        return self.tokens[self.at - 1][1]

    def need(self, kind: str, *texts: str) -> str:
        text = self.take(kind, *texts)
        if text is None:
            raise _refuse(f"expected {' or '.join(texts) or 'a value'} but found '{self.peek()}'.")
        return text

    def either(self) -> Query:
        terms = [self.both()]
        while self.take("op", "||"):
            terms.append(self.both())
        return terms[0] if len(terms) == 1 else lambda facts: any(term(facts) for term in terms)

    def both(self) -> Query:
        terms = [self.term()]
        while self.take("op", "&&"):
            terms.append(self.term())
        return terms[0] if len(terms) == 1 else lambda facts: all(term(facts) for term in terms)

    def term(self) -> Query:
        if self.take("op", "!"):
            inner = self.term()
            return lambda facts: not inner(facts)
        if self.take("mark", "("):
            inner = self.either()
            self.need("mark", ")")
            return inner
        return self.comparison()

    def comparison(self) -> Query:
        subject = self.need("word")
        if subject not in _SUBJECTS and not re.fullmatch(r"attribute:[\w./\\-]+", subject):
            raise _refuse(f"'{subject}' is not a subject.")
        sign = self.need("op", "==", "!=", ">", ">=", "<", "<=", "in", "!in", "exists", "!exists", "=~", "!~")
        test = _test(_NEGATED.get(sign, sign), self.arguments(sign))
        if sign in _NEGATED:
            return lambda facts: not test(facts(subject))
        return lambda facts: test(facts(subject))

    def arguments(self, sign: str) -> list[str]:
        if sign in ("exists", "!exists"):
            return []
        if sign not in ("in", "!in"):
            return [self.need("word")]
        self.need("mark", "[")
        listed = [self.need("word")]
        while self.take("mark", ","):
            listed.append(self.need("word"))
        self.need("mark", "]")
        return listed


def _test(sign: str, arguments: list[str]) -> Callable[[Fact], bool]:
    """What a positive operator asks of a value. A subject that is missing passes none of them."""
    if sign == "exists":
        return lambda value: value is not MISSING
    if sign == "=~":
        return _matches(arguments[0])
    if sign in _ORDER:
        return lambda value: _compares(sign, value, arguments[0])
    return lambda value: any(text in arguments for text in _texts(value))


def _matches(pattern: str) -> Callable[[Fact], bool]:
    try:
        found = re.compile(pattern)
    except re.error as error:
        raise _refuse(f"'{pattern}' is not a regular expression.") from error
    return lambda value: any(found.fullmatch(text) is not None for text in _texts(value))


def _texts(value: Fact) -> list[str]:
    if value is MISSING or value is None:
        return []
    if isinstance(value, list):
        return [str(item) for item in value]
    return [str(value).lower() if isinstance(value, bool) else str(value)]


def _compares(sign: str, value: Fact, argument: str) -> bool:
    texts = _texts(value)
    return bool(texts) and bool(_ORDER[sign](_rank(texts[0]), _rank(argument)))


def _rank(text: str) -> list[tuple[int, int, str]]:
    """Numbers inside a text compare as numbers: 9 < 10, and agent 1.9.0 < 1.107.0."""
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.findall(r"\d+|[^\d.]+", text)]
