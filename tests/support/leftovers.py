"""Exports that runs left on disk, and what the next start does with them."""

from support.checker import Ledger
from support.command import cxai

from cxai.simulator import Scenario

SCENARIO = Scenario(missing=0.2)
"""Of the `api` of tests/faults, and so of whatever was left of an export from it."""


def go_on(api, export, ids, *arguments, env=None, first=None):
    """Run the command that resumes an export."""
    command = ["run", "-o", export, "--base-url", api.base_url, "--rate", "100000", *arguments]
    return cxai(*command, stdin="\n".join(ids).encode(), env=env, first=first)


def content_of(export):
    """Return every part in any folder, with its content."""
    return {
        path.relative_to(export): path.read_bytes()
        for path in export.rglob("*.jsonl*")
        if path.is_file()
    }


def assert_refused(api, export, ids, *words):
    """Assert that a start is refused with exit code 5 and these words, and changes nothing."""
    parts, outcomes = content_of(export), Ledger(export).outcomes
    asked = api.stats.requests
    ended = go_on(api, export, ids)
    assert ended.code == 5, ended.err
    for word in words:
        assert word in ended.err
    assert content_of(export) == parts
    assert Ledger(export).outcomes == outcomes
    assert api.stats.requests == asked
    return ended


def flip(part, offset):
    content = bytearray(part.read_bytes())
    content[offset] ^= 1
    part.write_bytes(content)


def assert_damage_is_located(export, part, offset):
    ended = cxai("verify", export, "--json")
    assert ended.code == 5
    assert ended.json["intact"] is False
    (problem,) = [one for one in ended.json["problems"] if "were changed" in one]
    name, first, last = (
        problem.replace(",", "").replace(": bytes", "").replace("to ", "").split()[:3]
    )
    assert name == part.name
    assert int(first) <= offset < int(last)
    assert int(last) - int(first) < part.stat().st_size  # a commit's, not all of the part
    is_now = part.read_bytes()[offset]
    assert f"byte {offset} is 0x{is_now:02x} instead of 0x{is_now ^ 1:02x}." in problem.replace(
        ",", ""
    )
    assert f"{part.name}: its SHA-256 differs from the ledger's." in ended.json["problems"]
