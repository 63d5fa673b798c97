"""Each kind of value: what it reads, how it shows it, and what it refuses."""

import string
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxai.core.secret_str import SecretStr
from cxai.policy.verdict import Verdict
from cxai.resources.options import Shape
from cxai.settings import Settings
from cxai.settings.choices import Choice, ReaderCount, Switch, Verdicts
from cxai.settings.numbers import Bytes, Count, Duration, Number, Share
from cxai.settings.texts import File, SecretUrl, Text

COUNT = Count("IDs", 1, 10_000)
RATE = Number("requests per second", 100, above_least=True)
RATIO = Number("times", 1_000, least=1, examples="200")
SIZE = Bytes(1024)
TIME = Duration()
WAIT = Duration(or_zero=True, most_s=45 * 86_400.0)
SHARE = Share()
SHAPE = Choice.of(Shape)
SWITCH = Switch()
VERDICTS = Verdicts()
READERS = ReaderCount()


@pytest.mark.parametrize(
    ("kind", "written", "value"),
    [
        (COUNT, "5", 5),
        (COUNT, " 10000 ", 10_000),
        (COUNT, 5, 5),
        (COUNT, 5.0, 5),
        (RATE, "2.5", 2.5),
        (RATE, ".5", 0.5),
        (RATE, "1e-1", 0.1),
        (RATE, 100, 100.0),
        (RATIO, 1, 1.0),
        (SIZE, "1024", 1024),
        (SIZE, 2048, 2048),
        (SIZE, "8 MiB", 8 << 20),
        (SIZE, "8mib", 8 << 20),
        (SIZE, "256MB", 256_000_000),
        (SIZE, "1.5 KiB", 1536),
        (TIME, "90", 90.0),
        (TIME, "90s", 90.0),
        (TIME, "1.5 m", 90.0),
        (TIME, "12h", 43_200.0),
        (TIME, "0.5d", 43_200.0),
        (TIME, 0.25, 0.25),
        (WAIT, "0", 0.0),
        (WAIT, "45d", 45 * 86_400.0),
        (SHARE, "0.05", 0.05),
        (SHARE, "5%", 0.05),
        (SHARE, "0.7 %", 0.007),
        (SHARE, 1, 1.0),
        (SWITCH, True, True),
        (SWITCH, "on", True),
        (SWITCH, "False", False),
        (SWITCH, 0, False),
        (SHAPE, "tables", Shape.TABLES),
        (SHAPE, Shape.TABLES, Shape.TABLES),
        (VERDICTS, "not_found, rejected", {Verdict.NOT_FOUND, Verdict.REJECTED}),
        (VERDICTS, ["not_found"], {Verdict.NOT_FOUND}),
        (VERDICTS, "", frozenset()),
        (READERS, "auto", "auto"),
        (READERS, " 2 ", 2),
        (READERS, 64, 64),
        (File(), "~root/x", Path("~root/x").expanduser()),
        (Text("a name"), "x", "x"),
        (SecretUrl("http://h:1"), "http://u:p@h:1", SecretStr("http://u:p@h:1")),
        (SecretUrl("http://h:1"), SecretStr("http://h:1"), SecretStr("http://h:1")),
    ],
)
def test_a_value_may_be_written_as_text_or_natively(kind, written, value):
    found = kind.parse(written)
    assert found == value
    assert type(found) is type(value) or isinstance(value, set)


NOT_NUMBERS = ["", "fast", "nan", "inf", "1e400", "1_000", "٣", "9" * 50, True, None, [5]]
FLOATS = [float("nan"), float("inf")]


@pytest.mark.parametrize(
    ("kind", "refused", "expected"),
    [
        (COUNT, [*NOT_NUMBERS, *FLOATS, 0, "2.5", 10_001], "a whole number (1 to 10,000 IDs)"),
        (
            *(RATE, [*NOT_NUMBERS, *FLOATS, 0, "-1", 101]),
            "a number (above 0, up to 100 requests per second), such as 2.5",
        ),
        (RATIO, [*NOT_NUMBERS, 0.9], "a number (1 to 1,000 times), such as 200"),
        (
            *(SIZE, [*NOT_NUMBERS, *FLOATS, 1023, "1 K", "1 PiB", "1024.5", "-8 MiB"]),
            "a size (at least 1 KiB), such as 1048576, 8 MiB or 256MB",
        ),
        (
            *(TIME, [*NOT_NUMBERS, *FLOATS, 0, "0s", "15 min", "m", "-5m", "1h30m", "2w", "2d"]),
            "a time (above 0s, up to 1d), such as 90, 90s, 15m or 12h",
        ),
        (WAIT, [-1, "46d"], "a time (0s to 45d), such as 90, 90s, 15m or 12h"),
        (
            *(SHARE, [*NOT_NUMBERS, *FLOATS, 1.01, "-0.1", "101%", "%", "nan%"]),
            "a share (0% to 100%), such as 0.05 or 5%",
        ),
        (Share(or_zero=False), [0, "0%"], "a share (above 0%, up to 100%), such as 0.05 or 5%"),
        (SWITCH, ["", "maybe", 2, 1.0, None], "true or false (or yes or no, on or off, 1 or 0)"),
        (SHAPE, ["", "csv", "TABLES", 1, None], "one of nested, tables"),
        (VERDICTS, ["no_such", ["no_such"], [["not_found"]], 1, None], "one or more of not_found"),
        (READERS, ["many", "", "-1", "65", -1, 65, 1.5, "1.5", True], "0 to 64, or auto"),
        (File(), [1, None, "", "s3://bucket/x"], "the path of a file on this machine, not a URL"),
        (Text("a name"), [1, None], "a name"),
        (SecretUrl("http://h:1"), [1, None], "http://h:1"),
    ],
)
def test_what_is_refused_is_told_range_unit_and_example(kind, refused, expected):
    for value in refused:
        with pytest.raises(ValueError) as raised:  # noqa: PT011 - its text is what counts
            kind.parse(value)
        assert expected in str(raised.value), value


def test_a_verdict_of_success_can_not_be_reopened():
    with pytest.raises(ValueError, match="ok can't be reopened, since a record is written exactly"):
        VERDICTS.parse("not_found,ok")
    assert "ok" not in VERDICTS.choices


@pytest.mark.parametrize(
    ("kind", "value", "shown", "toml"),
    [
        (COUNT, 5_000, "5000", "5_000"),
        (RATE, 5.0, "5", "5.0"),
        (SIZE, 8 << 20, "8 MiB", '"8 MiB"'),
        (SIZE, 1_500, "1500 B", '"1500 B"'),
        (TIME, 900.0, "15m", '"15m"'),
        (TIME, 90.0, "90s", '"90s"'),
        (TIME, 0.25, "0.25s", '"0.25s"'),
        (WAIT, 0.0, "0s", '"0s"'),
        (SHARE, 0.05, "5%", '"5%"'),
        (SHARE, 1 / 3, "0.3333333333333333", '"0.3333333333333333"'),
        (SWITCH, True, "true", "true"),
        (SHAPE, Shape.TABLES, "tables", '"tables"'),
        (VERDICTS, frozenset(Verdict) - {Verdict.OK}, None, None),
        (READERS, 2, "2", "2"),
        (READERS, "auto", "auto", '"auto"'),
        (Text("a pattern"), r"\d+", r"\d+", r"'\d+'"),
        (Text("a pattern"), "'\\\"\n", "'\\\"\n", r""""'\\\"\u000a" """.strip()),
    ],
)
def test_a_value_is_shown_with_its_unit_and_can_be_read_back(kind, value, shown, toml):
    if shown is not None:
        assert (kind.show(value), kind.toml(value)) == (shown, toml)
    assert kind.parse(kind.show(value)) == value
    assert kind.parse(tomllib.loads(f"x = {kind.toml(value)}")["x"]) == value


@given(st.floats(0, 45 * 86_400.0), st.floats(0, 1), st.integers(1024, 1 << 50))
def test_what_is_shown_is_never_another_value(seconds, share, size):
    assert WAIT.parse(WAIT.show(seconds)) == pytest.approx(seconds, rel=1e-12)
    assert SHARE.parse(SHARE.show(share)) == share
    assert SIZE.parse(SIZE.show(size)) == size


@given(
    st.sampled_from([COUNT, RATE, SIZE, WAIT, SHARE, SWITCH, SHAPE, VERDICTS, READERS]),
    st.text(string.printable + "٣½", max_size=30)
    | st.floats()
    | st.integers()
    | st.booleans()
    | st.lists(st.text(max_size=3) | st.integers(), max_size=3)
    | st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)
def test_anything_is_either_read_or_refused(kind, value):
    try:
        found = kind.parse(value)
    except ValueError:
        return
    assert kind.parse(found) == found


def test_a_secret_is_shown_nowhere():
    settings = Settings(proxy="http://user:c4nary@proxy:3128")
    assert "c4nary" not in f"{settings!r} {settings.proxy} {settings.proxy!r}"
    assert settings.proxy.get_secret_value() == "http://user:c4nary@proxy:3128"
