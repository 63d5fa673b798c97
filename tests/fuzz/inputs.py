"""Inputs for the target: bodies as the API sends them, bent, encoded, and damaged on the way.

An input is a function of its seed alone. Objects are lists of pairs here, since a key may occur
twice; what is to be written as it stands is Raw.
"""

import gzip
import json
import zlib
from dataclasses import dataclass
from functools import cache
from random import Random

import brotli
from fuzz.target import CANARY

_PARTICIPANT = {
    "enlightenBundles": [
        {
            "name": "Customer Satisfaction",
            "models": [
                {
                    "name": name,
                    "score": -4.169592,
                    "minScore": -3.1514606,
                    "minScoreOffset": 75345,
                    "maxScore": 2,
                    "maxScoreOffset": 196550.5,
                    "quartile1": -4.7154593,
                    "quartile2": 0.39559406,
                    "quartile3": 1.9443647,
                    "quartile4": -6.545092,
                }
                for name in ("AcknowledgeLoyalty", "ActiveListening")
            ],
        },
        {"name": "Vulnerable Customer", "models": []},
    ],
    "voiceActivitySegments": [
        {"startTimeOffset": 0, "endTimeOffset": 1000, "result": "voice"},
        {"startTimeOffset": 1000, "endTimeOffset": 39000, "result": "silence"},
    ],
}
_EMPTY = {"enlightenBundles": [], "voiceActivitySegments": None}
_RESULTS = (
    {"allParticipants": _PARTICIPANT, "participantOne": _PARTICIPANT, "participantTwo": _EMPTY},
    {"allParticipants": _PARTICIPANT, "participantOne": None, "participantTwo": None},
    {"allParticipants": _EMPTY},
)
_STATUSES = ("processed", "declared", "processing", "processingFailed", " Processed ", "")
_KEYS = (
    "extra", "name", "models", "band", "interaction_id", "min_score", "Score", "score ", "", "\0",
    "status", "participant", "allParticipants", "enlightenBundles", "voiceActivitySegments",
    "\u2028", "\U0001f600", "__class__", "line\nfeed", '"\\', CANARY, CANARY * 40,
)  # fmt: skip
_TEXTS = (
    "", " ", "voice", "1.5", "NaN", "null", CANARY, CANARY * 100, "\u2028\u2029\x85",
    "\x00\x1f\x7f", "\r\n", '"},{"interaction_id":"', "},{", "\ufeff", "\U0001f600\u200d",
    "a\u0301", "\ufffe",
)  # fmt: skip
_NUMBERS = (
    "0", "-0", "-0.0", "1E2", "1e-400", "1e400", "-1e309", "1.7976931348623157e308",
    "1.7976931348623159e308", "4.9e-324", "2e-324", "9007199254740993", "9223372036854775807",
    "9223372036854775808", "-9223372036854775808", "-9223372036854775809", "18446744073709551615",
    "18446744073709551616", "1" * 308, "1" * 310, "1" * 4400, "0.1" + "0" * 4000 + "1",
    "0.30000000000000004", "NaN", "Infinity", "-Infinity", "01", "+1", "1.", ".5", "1_000", "0x10",
    "1e", "-",
)  # fmt: skip
_MOST_BENT_BYTES = 2**17
_DEPTHS = (3, 100, 230, 240, 246, 250, 252, 253, 254, 255, 400, 1000, 1023, 3000)
_ESCAPES = (
    r'"\ud800"', r'"\udc00\ud800"', r'"\ud83d\ude00"', r'"\u0000"', r'"\u2028"', r'"\x41"',
    r'"\u12"', '"\t"', '"\n"', r'"\/"', '"', "'x'", r'"\ud800' + CANARY + '"',
)  # fmt: skip
_TOKENS = (
    b"{", b"}", b"[", b"]", b",", b":", b'"', b"\\", b"\n", b"\0", b"\xff", b"\xc0\x80",
    b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"null", b"\xe2\x80\xa8", b"1e400", b"\xef\xbb\xbf",
    CANARY.encode(),
)  # fmt: skip
_FOREIGN_BODIES = (
    b"", b" \r\n", b"<!DOCTYPE html><html>" + CANARY.encode() + b"</html>", b"null", b"[]",
    b"{}", b"7", b'"' + CANARY.encode() + b'"', b"{'a': 1}", b"\x1f\x8b", b"\x78\x9c",
)  # fmt: skip
_HEADERS = (
    "zstd", "compress", CANARY, "gzip;q=1", "*", "br gzip", "gz\u0131p", "\x00",
    "gzip\r\nX: y", "dcb",
)  # fmt: skip
_SPELLINGS = {
    "gzip": ("gzip", "GZIP", " gzip\t", "x-gzip", "X-GZip"),
    "deflate": ("deflate", "Deflate"),
    "br": ("br", "BR "),
}
_RETRIES = (
    "", "0", "7", "007", "0" * 13 + "5", "9" * 20, "9" * 5000, "-1", "1.5", "1e3", "\u0667",
    "\u00b2",
    "Sun, 22 Nov 2026 16:00:00 GMT", "Sunday, 22-Nov-26 16:00:00 GMT", "Sun Nov 22 16:00:00 2026",
    "Mon, 01 Jan 0001 00:00:00 +2359", "Fri, 31 Dec 9999 23:59:59 -2359", "22 Nov 2026 16:00 -0000",
    CANARY,
)  # fmt: skip
_RETRY_PIECES = (
    " ", ",", ":", ".", "-", "+", "Nov", "GMT", "EST", "Sun", "2026", "0", "99", "+9999",
    "-0000", "\t", "\0", "\u0660", "(", ")", ";", "\u2028",
)  # fmt: skip


class Raw(str):
    """JSON text, or what passes for it."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Input:
    """A body and its Content-Encoding, and what its maker knows of it.

    `decoded`: what it must become, None if it was damaged (or needn't be accepted). `is_cut`: a
    coding of it ends too early, so that it must be refused.
    """

    body: bytes
    content_encoding: str
    decoded: bytes | None = None
    is_cut: bool = False
    retry_after: str = ""


def make_input(seed):
    """Return the input of `seed`."""
    chance = Random(seed)
    retry_after = made_retry_after(chance)
    if chance.random() < 0.004:
        body, header = chance.choice(heavy())
        return Input(body, header, retry_after=retry_after)
    plain = made_body(chance)
    depth = chance.choices((0, 1, 2, 3, 4), (30, 45, 14, 10, 1))[0]
    damaged_layer = chance.randrange(depth) if depth and chance.random() < 0.35 else -1
    body, names, is_whole, is_cut = plain, [], True, False
    for layer in range(depth):
        coding = chance.choice(("gzip", "gzip", "deflate", "br"))
        body = encoded(chance, coding, body)
        names.append(chance.choice(_SPELLINGS[coding]))
        if layer == damaged_layer:
            is_whole = False
            if chance.random() < 0.4:
                # The last bytes: behind the end of every member but the last, so that it counts.
                body, is_cut = body[: -chance.randint(1, min(4, len(body)))], True
            else:
                body = damaged(chance, body)
    header = spelled(chance, names)
    if chance.random() < 0.06:
        header = chance.choice((*_HEADERS, "", "gzip", "br", header + ",br"))
        is_whole = is_cut = False
    return Input(body, header, plain if is_whole else None, is_cut, retry_after)


def made_body(chance):
    kind = chance.random()
    if kind < 0.04:
        return chance.choice(_FOREIGN_BODIES)
    if kind < 0.07:
        return chance.randbytes(chance.randrange(80))
    tree = as_tree(
        {"identifier": CANARY, "status": chance.choice(_STATUSES), "errorMessage": None}
        if kind < 0.15
        else chance.choice(_RESULTS)
    )
    for _ in range(chance.choice((0, 1, 1, 2, 3, 8))):
        bend(chance, tree)
    body = written(chance, tree)
    if len(body) > _MOST_BENT_BYTES:
        return made_body(chance)  # what is copied often is large; a few of that kind are in heavy
    if chance.random() < 0.12:
        body = damaged(chance, body)
    elif chance.random() < 0.02:
        charset = chance.choice(("utf-16", "utf-8-sig", "utf-32"))
        body = body.decode("utf-8", "replace").encode(charset)
    return body


def as_tree(value):
    if isinstance(value, dict):
        return {"pairs": [[key, as_tree(inner)] for key, inner in value.items()]}
    return [as_tree(inner) for inner in value] if isinstance(value, list) else value


def owners(tree):
    """Return the lists of a tree that can be bent: of pairs (True) and of elements (False)."""
    found, left = [], [tree]
    while left:
        node = left.pop()
        if isinstance(node, dict):
            found.append((node["pairs"], True))
            left += [value for _, value in node["pairs"]]
        elif isinstance(node, list):
            found.append((node, False))
            left += node
    return found


def bend(chance, tree):
    """Change one thing, in place."""
    owner, has_keys = chance.choice(owners(tree))
    act = chance.randrange(8)
    if not owner or act == 0:
        value = odd_value(chance)
        owner.insert(chance.randint(0, len(owner)), [odd_key(chance), value] if has_keys else value)
        return
    at = chance.randrange(len(owner))
    match act:
        case 1:
            del owner[at]
        case 2 if has_keys:
            owner[at][0] = odd_key(chance, owner[at][0])
        case 3:
            twin = list(owner[at]) if has_keys else owner[at]
            if has_keys and chance.random() < 0.7:
                twin[1] = odd_value(chance)
            owner.insert(chance.randint(0, len(owner)), twin)
        case 4:
            chance.shuffle(owner)
        case 5 if not has_keys:
            owner[at:at] = [owner[at]] * chance.choice((1, 5, 60))
        case 6 if has_keys:
            owner[at][1] = chance.choice((None, None, [], {"pairs": []}, owner[0][1]))
            if chance.random() < 0.05:
                owner[at][1] = {"pairs": [list(pair) for pair in owner if pair is not owner[at]]}
        case _:
            value = odd_value(chance)
            owner[at] = [owner[at][0], value] if has_keys else value


def odd_key(chance, key="score"):
    kind = chance.random()
    if kind < 0.5:
        return chance.choice(_KEYS)
    if kind < 0.8:
        return chance.choice((key.upper(), key.lower(), f"{key} ", f"{key}s", key[1:], key * 9))
    return Raw(chance.choice(_ESCAPES)) if kind < 0.83 else chr(chance.randrange(1, 0xD800)) + key


def odd_value(chance, levels=2):  # noqa: PLR0911 # a table of shares
    kind = chance.random()
    if kind < 0.22:
        return chance.choice((None, True, False, 0, 1.5, -1, 2**53 + 1))
    if kind < 0.42:
        return Raw(chance.choice(_NUMBERS[:21] if chance.random() < 0.7 else _NUMBERS))
    if kind < 0.48:
        return Raw(repr(chance.uniform(-1, 1) * 10 ** chance.randint(-320, 308)))
    if kind < 0.62:
        return chance.choice(_TEXTS)
    if kind < 0.66:
        return Raw(chance.choice(_ESCAPES))
    if kind < 0.69:
        depth = chance.choice(_DEPTHS)
        left, right = chance.choice((("[", "]"), ('{"a":', "}")))
        return Raw(left * depth + "1" + right * depth)
    if kind < 0.76:
        row = {"pairs": [["interaction_id", chance.choice(_TEXTS)], ["x", 1]]}
        return [row] * chance.randint(1, 3)
    if levels == 0:
        return []
    inner = [odd_value(chance, levels - 1) for _ in range(chance.randrange(4))]
    return inner if kind < 0.88 else {"pairs": [[odd_key(chance), value] for value in inner]}


def written(chance, tree):
    comma, colon = chance.choice(((",", ":"), (", ", ": "), (" ,\r\n\t", " : ")))
    to_ascii = chance.random() < 0.5

    def text(value):
        if isinstance(value, Raw):
            return value
        if isinstance(value, dict):
            pairs = (f"{text(key)}{colon}{text(inner)}" for key, inner in value["pairs"])
            return "{" + comma.join(pairs) + "}"
        if isinstance(value, list):
            return "[" + comma.join(map(text, value)) + "]"
        return json.dumps(value, ensure_ascii=to_ascii)

    return text(tree).encode("utf-8", "surrogatepass")


def damaged(chance, data):
    """Return the data with a few bytes that are others, more or fewer."""
    data = bytearray(data)
    for _ in range(chance.choice((1, 1, 1, 2, 5))):
        at = chance.randint(0, len(data))
        match chance.randrange(7):
            case 0 if data:
                data[at % len(data)] ^= 1 << chance.randrange(8)
            case 1 if data:
                data[at % len(data)] = chance.randrange(256)
            case 2:
                data[at:at] = chance.choice(_TOKENS)
            case 3:
                data[at : at + chance.choice((1, 2, 9))] = b""
            case 4:
                del data[at:]
            case 5:
                data += chance.choice((b"\0", b"\n", bytes(8), chance.randbytes(12), bytes(data)))
            case _:
                here = chance.randint(0, len(data))
                data[at:at] = data[here : here + chance.randrange(40)]
    return bytes(data)


def encoded(chance, coding, data):
    match coding:
        case "br":
            quality, window = chance.choice((0, 1, 5)), chance.choice((10, 22))
            return brotli.compress(data, quality=quality, lgwin=window)
        case "deflate":
            return _deflated(chance, data, chance.choice((15, 9, -15, -9)))
        case _ if chance.random() < 0.25:
            members = chance.choice((1, 2, 15, 1_030))
            cuts = sorted(chance.randint(0, len(data)) for _ in range(members))
            ends = [*cuts, len(data)]
            starts = [0, *cuts]
            return b"".join(
                _deflated(chance, data[start:end], 31)
                for start, end in zip(starts, ends, strict=True)
            )
        case _:
            return _deflated(chance, data, 31)


def _deflated(chance, data, wbits):
    encoder = zlib.compressobj(
        chance.choice((0, 1, 6)), wbits=wbits, strategy=chance.choice((0, 0, zlib.Z_FIXED))
    )
    half = len(data) // 2 if chance.random() < 0.3 else 0
    first = encoder.compress(data[:half])
    flushed = encoder.flush(zlib.Z_FULL_FLUSH) if half else b""
    return first + flushed + encoder.compress(data[half:]) + encoder.flush()


def spelled(chance, names):
    if not names:
        return chance.choice(("", "", "identity", " ", ",", "Identity , identity"))
    separator = chance.choice((",", ", ", " ,\t", ",,", ", identity,"))
    return separator.join(names)


def made_retry_after(chance):
    value = chance.choice(_RETRIES)
    for _ in range(chance.choice((0, 0, 1, 2, 4))):
        at = chance.randint(0, len(value))
        keep = chance.choice((0, 0, 1, 3))
        value = value[:at] + chance.choice(_RETRY_PIECES) + value[at + keep :]
    return value


@cache
def heavy():
    """Return bodies that become large, each with its header: once made, they're kept."""
    zeros, spaces = bytes(2**25), b" " * 2**23
    start = b'{"allParticipants":{"enlightenBundles":[{"models":['
    crowd = start + b",".join([b"{}"] * 100_000) + b"]}]}}"
    whole = json.dumps(_RESULTS[0]).encode()
    named = start.replace(b'"models"', b'"name":"' + b"n" * 500_000 + b'","models"')
    named += b",".join([b'{"score":1}'] * 400) + b"]}]}}"
    return (
        (gzip.compress(named, 1), "gzip"),
        (gzip.compress(zeros, 9), "gzip"),
        (gzip.compress(gzip.compress(zeros, 9), 9), "gzip, gzip"),
        (zlib.compress(zeros, 9), "deflate"),
        (brotli.compress(zeros, quality=1), "br"),
        (gzip.compress(whole + spaces[len(whole) :], 1), "gzip"),
        (whole + spaces, ""),
        (whole + spaces[len(whole) + 1 :], "identity"),
        (gzip.compress(crowd, 1), "gzip"),
        (brotli.compress(crowd.replace(b"models", b"m"), quality=1), "br"),
        (gzip.compress(b"") * 17, "gzip"),
        (gzip.compress(whole + b" ") + gzip.compress(b" " * 2**22) * 15, "x-gzip"),
    )
