"""JSON that the API should not send: functions that change the JSON of a good result."""

import re
from collections.abc import Callable

Change = Callable[[bytes], bytes]

ALL = re.compile(rb".+", re.DOTALL)
START = re.compile(rb"^")
BRACE = re.compile(rb"^{")
SCORE = re.compile(rb'(?<="score":)[^,]+')
OFFSET = re.compile(rb'(?<="minScoreOffset":)[^,]+')
MINIMUM = re.compile(rb'"minScore":[^,]+,')
NAME = re.compile(rb'"Customer Satisfaction"')


def sub(pattern: re.Pattern[bytes], replacement: bytes, count: int = 1) -> Change:
    """Replace the first `count` matches, or all if that is 0."""
    return lambda body: pattern.sub(lambda _match: replacement, body, count)


def first_half(body: bytes) -> bytes:
    """Cut the JSON, not its content coding."""
    return body[: len(body) // 2]
