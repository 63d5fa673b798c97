"""What holds for any bytes under any Content-Encoding: decoded, read, laid out, looked at again.

`check` raises a Broken that says which promise was broken, and otherwise returns what became of the
body, in a few words that are good for counting. It needs nothing but the worker.
"""

import asyncio
import atexit
import gzip
import json
import math
import re
import zlib
from concurrent.futures import Executor, Future
from dataclasses import replace
from datetime import UTC, datetime

import brotli
from support.defaults import decode_settings
from support.faithful import as_sent, covers
from support.readers import seen_by

from cxai.api.content_coding import MAX_CODINGS, decode
from cxai.api.retry_after import retry_after_s
from cxai.policy.reply import Endpoint, Failure, FailureKind, Form, Record, Refusal, Reply, Status
from cxai.resources.cx_ai.bands import Bands
from cxai.resources.cx_ai.form import PARTICIPANTS
from cxai.resources.cx_ai.layout import INTERACTIONS, RECORDS, SCORES, SEGMENTS
from cxai.resources.cx_ai.regular import read_regular
from cxai.resources.cx_ai.resource import CxAi
from cxai.resources.options import Shape
from cxai.resources.reader import BodyReader
from cxai.resources.reply_parser import ReplyParser

CANARY = "cAnArY7f3a"
"""Planted in the inputs: no reason may hold it."""

ID = "cd613e30-d8f1-4adf-91b7-584a2265b1f5"
NOW = datetime(2026, 11, 22, 15, 48, 15, 217000, UTC)
LIMITS = decode_settings()

_PARSER_LEVELS = 1024
_LARGER = 64
_MOST_REASON_CHARS = 120
_BANDS = Bands(
    {
        "table": [
            {
                "bundle": "Customer Satisfaction",
                "bands": [{"name": "low", "upper": 0}, {"name": "high", "lower": 0}],
            }
        ]
    }
)
_RUN = "3f0c2b6e-7a51-4f0e-9f63-1d3c6a9b2e44"
_STAMP = ("interaction_id", "schema_version", "retrieved_at", "run_id")


class _Here(Executor):
    """Does at once what it is given."""

    def submit(self, work, /, *arguments):
        future = Future()
        future.set_result(work(*arguments))
        return future


def reader(resource):
    def decoded(body, content_encoding, most_bytes):
        return decode(body, content_encoding, decode_settings(most_bytes))

    return BodyReader(ReplyParser(resource, decoded), LIMITS.decoded_bytes, _Here())


_RESOURCES = [CxAi(shape, _RUN, bands) for bands in (None, _BANDS) for shape in Shape]
_NESTED, _TABLES, _BANDED, _BANDED_TABLES = map(reader, _RESOURCES)
_LOOP = asyncio.new_event_loop()
atexit.register(_LOOP.close)


def read(reply, endpoint=Endpoint.RESULT, by=_NESTED):
    return _LOOP.run_until_complete(seen_by(by, ID, endpoint, reply, NOW))


class Broken(Exception):  # noqa: N818 # a promise is; it is no error of the program's
    """A promise that was not kept."""


def hold(kept, promise):
    if not kept:
        raise Broken(promise)


def check(body, content_encoding):
    """Send a body all the way, as a result, a status and a refusal; return what became of each."""
    reply = Reply(200, body, content_encoding)
    decoded = decode(body, content_encoding, LIMITS)
    if isinstance(decoded, bytes):
        check_decoded(decoded, body, content_encoding)
        check_regular(decoded)
    refused = check_refusal(replace(reply, status=404), decoded)
    return check_result(reply, decoded), check_status(reply, decoded), refused


def check_decoded(decoded, body, content_encoding):
    hold(len(decoded) <= LIMITS.most_bytes(len(body)), "decoded is within the limits")
    names = codings(content_encoding)
    hold(len(names) <= MAX_CODINGS, "codings are counted")
    hold(decoded == decoded_by_others(body, names), "others decode it to the same")
    if names:
        for cut in {0, 1, len(body) // 3, len(body) - 9, len(body) - 1} & set(range(len(body))):
            shorter = decode(body[:cut], content_encoding, LIMITS)
            if isinstance(shorter, bytes):
                # A cut between two members can't be detected by this layer.
                between = names[-1] in ("gzip", "x-gzip") and cut in member_ends(body)
                hold(between, "a body that is cut is refused")


def check_regular(decoded):
    if read_regular(decoded) is not None:
        for resource in _RESOURCES:
            same = resource.read(ID, decoded, NOW) == resource.read_any(ID, decoded, NOW)
            hold(same, "both readers of a regular body agree")


def check_result(reply, decoded):
    found = read(reply)
    if isinstance(found, Failure):
        check_failure(found)
        if found.kind is FailureKind.NOT_JSON:
            hold(not is_json(decoded), "what others read as JSON is read as JSON")
        hold(read(reply) == found, "the same body fails in the same way")
        return described(found)
    hold(isinstance(found, Record), "a body is a record or a failure")
    drift = (*found.drift.unknown, *found.drift.absent)
    hold(
        all(path.isprintable() and len(path) < 200 for path in drift),
        "paths of drift are short and printable",
    )
    record, tables = laid_out(_NESTED, reply), laid_out(_TABLES, reply)
    check_record(record, decoded)
    check_tables(tables, record)
    check_bands(laid_out(_BANDED, reply), laid_out(_BANDED_TABLES, reply), record)
    if read_regular(decoded) is not None:
        return "accepted, regular"
    return "accepted, with drift" if drift else "accepted"


def check_record(record, decoded):
    hold(list(record) == [RECORDS], "the nested shape has one set")
    rows = record[RECORDS]
    hold(len(rows) == 1, "the nested shape has one row")
    kept = {key: value for key, value in rows[0].items() if key in (*PARTICIPANTS, "extra")}
    hold(len(kept) + len(_STAMP) == len(rows[0]), "a row has no other columns")
    sent = as_others_read(decoded)
    if sent is not None:
        hold(covers(as_sent(kept), sent), "all that was sent is in the record")


def check_tables(tables, record):
    hold(len(tables[INTERACTIONS]) == 1, "an interaction has one row")
    hold(all(tables.values()), "a set without rows is left out")
    hold(put_together(tables) == record[RECORDS][0], "the tables hold what the record holds")


def check_bands(banded, tables, record):
    def without(row):
        """Return a nested row without its bands, which are noted."""
        for participant in PARTICIPANTS:
            for bundle in (row[participant] or {}).get("enlighten_bundles") or []:
                bands.extend(model.pop("band") for model in bundle["models"] or [])
        return row

    bands = []
    hold(without(banded[RECORDS][0]) == record[RECORDS][0], "a band takes nothing away")
    hold(bands == [row["band"] for row in tables.get(SCORES, [])], "the shapes agree on bands")


def check_status(reply, decoded):
    found = read(reply, Endpoint.STATUS)
    if isinstance(found, Failure):
        check_failure(found)
        return described(found)
    hold(isinstance(found, Status), "a body is a status or a failure")
    hold(found.state.isprintable() and len(found.state) <= 64, "a state is short and printable")
    sent = as_others_read(decoded)
    if sent is not None:
        hold(isinstance(sent["status"], str) and sent["status"].strip(), "a status is a text")
    return f"status {found.processing}"


def check_refusal(reply, decoded):
    found = read(reply)
    hold(isinstance(found, Refusal), "another status is a refusal, whatever its body is")
    check_words(found.message)
    match found.form:
        case Form.EMPTY:
            hold(not reply.body or not decoded.strip(), "an empty refusal says nothing")
        case Form.OWN:
            sent = as_others_read(decoded)
            hold(sent is None or isinstance(sent, dict), "own is an object")
    hold(read(reply) == found, "the same refusal is read in the same way")
    return f"refusal {found.form}"


def check_words(words):
    short = words is None or (0 < len(words) <= 200 and words.isprintable())
    hold(short, "the words of the API are short and printable")


def check_failure(failure):
    check_words(failure.message)
    reason = failure.reason
    hold(0 < len(reason) <= _MOST_REASON_CHARS, "a reason is short")
    hold(reason.isascii() and reason.isprintable(), "a reason is printable")
    hold(CANARY.casefold() not in reason.casefold(), "a reason quotes nothing")
    hold(CANARY not in repr(replace(failure, message=None)), "a failure shows nothing")


def check_retry_after(value):
    """Read a Retry-After header; return what became of it."""
    found = retry_after_s(value, NOW)
    if found is None:
        hold(not (value.strip().isascii() and value.strip().isdigit()), "seconds are understood")
        return "no retry-after"
    hold(type(found) is float and 0 <= found < math.inf, "a pause is finite and not negative")
    digits = value.strip()
    if digits.isascii() and digits.isdigit():
        wanted = float(digits)
        hold(found == wanted or min(found, wanted) >= 1e11, "seconds are taken as sent")
        return "retry-after in seconds"
    return "retry-after as a date"


def laid_out(by, reply):
    """Return the rows by set, parsed; the lines are looked at, and made twice."""
    found = read(reply, by=by)
    hold(read(reply, by=by) == found, "the same body gives the same bytes")
    hold(isinstance(found, Record), "what fits one shape fits all")
    made = found.lines
    most = _LARGER * LIMITS.most_bytes(len(reply.body))
    hold(sum(map(len, made.values())) <= most, "lines are not much larger than their body")
    return {name: rows(made[name]) for name in made}


def rows(lines):
    hold(lines.endswith(b"\n"), "each row ends with a line feed")
    found = [strictly(line.decode(), _without_repeats) for line in lines[:-1].split(b"\n")]
    for row in found:
        hold(isinstance(row, dict), "a row is an object")
        hold(next(iter(row.items())) == ("interaction_id", ID), "a row begins with its ID")
    return found


def put_together(tables):
    """Return the nested row that the tables must come from."""
    (row,) = tables[INTERACTIONS]
    scores, segments = tables.get(SCORES, []), tables.get(SEGMENTS, [])
    for table in tables.values():
        for each in table:
            hold(list(each) == list(table[0]), "the rows of a table have the same columns")
            hold(not any(isinstance(v, dict | list) for v in each.values()), "a table is flat")
            hold({key: each[key] for key in _STAMP} == {key: row[key] for key in _STAMP}, "stamps")
    left = iter(scores)
    together = {key: row[key] for key in _STAMP}
    for name in PARTICIPANTS:
        mine = [segment for segment in segments if segment["participant"] == name]
        together[name] = participant_of(name, row, left, mine)
    hold(not list(left), "scores are counted")
    return {**together, **extra_of(row["extra"])}


def participant_of(name, row, scores, segments):
    if not row[f"{name}_present"]:
        return None
    bundles, count = row[f"{name}_bundle_list"], row[f"{name}_segments"]
    hold(len(segments) == (count or 0), "segments are counted")
    if bundles is not None:
        bundles = json.loads(bundles)
        hold(len(bundles) == row[f"{name}_bundles"], "bundles are counted")
        models = sum(bundle["models"] or 0 for bundle in bundles)
        hold(models == row[f"{name}_models"], "models are counted")
        for index, bundle in enumerate(bundles):
            if bundle["models"] is not None:
                of_bundle = [next(scores) for _ in range(bundle["models"])]
                bundle["models"] = [
                    model_of(score, name, bundle["name"], index, number)
                    for number, score in enumerate(of_bundle)
                ]
    return {
        "enlighten_bundles": bundles,
        "voice_activity_segments": None
        if count is None
        else [segment_of(segment, number) for number, segment in enumerate(segments)],
        **extra_of(row[f"{name}_extra"]),
    }


def model_of(score, participant, bundle, bundle_index, model_index):
    row = {key: value for key, value in score.items() if key not in (*_STAMP, "band", "extra")}
    place = [row.pop(key) for key in ("participant", "bundle", "bundle_index", "model_index")]
    hold(place == [participant, bundle, bundle_index, model_index], "a score tells its place")
    return {"name": row.pop("model"), **row, **extra_of(score["extra"])}


def segment_of(segment, index):
    hold(segment["segment_index"] == index, "a segment tells its place")
    other = (*_STAMP, "participant", "segment_index", "extra")
    row = {key: value for key, value in segment.items() if key not in other}
    return {**row, **extra_of(segment["extra"])}


def extra_of(text):
    return {} if text is None else {"extra": json.loads(text)}


def described(failure):
    """Return the kind of a failure, without the path."""
    what = failure.reason.partition("is not a")
    return f"{failure.kind}: {re.sub('[0-9]+', 'N', what[1] + what[2] or failure.reason)}"


def codings(content_encoding):
    names = (token.strip() for token in content_encoding.lower().split(","))
    return [name for name in names if name not in ("", "identity")]


def decoded_by_others(body, names):
    for name in reversed(names):
        if name == "br":
            body = brotli.decompress(body)
        elif name == "deflate":
            try:
                body = zlib.decompress(body)
            except zlib.error:
                body = zlib.decompress(body, -15)
        else:
            body = gzip.decompress(body)
    return body


def member_ends(body):
    ends, rest = set(), body
    while rest:
        stream = zlib.decompressobj(31)
        stream.decompress(rest)
        rest = stream.unused_data
        ends.add(len(body) - len(rest))
    return ends


def strictly(text, object_pairs_hook=dict):
    """Parse as RFC 8259 has it, with another parser than the worker's."""
    # A parser may pass over a byte order mark (RFC 8259, 8.1); this one doesn't.
    return json.loads(
        text.removeprefix("\ufeff"), parse_constant=_refuse, object_pairs_hook=object_pairs_hook
    )


def as_others_read(decoded):
    """Parse what was accepted; None where the standard library gives up before 1,024 levels."""
    try:
        return strictly(decoded.decode())
    except RecursionError:
        return None


def is_json(decoded):
    """Tell whether the standard library reads it, and nothing in it is beyond UTF-8 or a double."""
    try:
        # Pairs: what a later key of the same name hides has to be in order as well.
        value = json.loads(
            decoded.decode().removeprefix("\ufeff"),
            parse_constant=_refuse,
            parse_int=float,
            object_pairs_hook=list,
        )
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError):
        return False
    return deepest(decoded) <= _PARSER_LEVELS


def deepest(decoded):
    level = most = 0
    for byte in decoded:
        if byte in b"[{":
            level += 1
            most = max(most, level)
        elif byte in b"]}":
            level -= 1
    return most


def _without_repeats(pairs):
    hold(len(dict(pairs)) == len(pairs), "a key occurs once in an object")
    return dict(pairs)


def _refuse(constant):
    raise ValueError(constant)
