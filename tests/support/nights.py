"""Seven nights that differ as nights do, as bodies of the API, and what must be loaded of them."""

import json
from dataclasses import dataclass
from itertools import count

from support.bodies import sample

from cxai.clock import SystemClock
from cxai.core.entry import IdRule, Outcome
from cxai.core.events import EventStream
from cxai.ledger.committer import Committer
from cxai.ledger.form import ExportForm
from cxai.output.compression import Compression
from cxai.output.directory import OutputDirectory
from cxai.policy.reply import Failure, Said
from cxai.policy.step import Settle
from cxai.policy.verdict import FailureStage, Verdict
from cxai.resources.cx_ai.layout import LAYOUT
from cxai.resources.cx_ai.resource import CxAi
from cxai.resources.failures import FailureRows
from cxai.resources.options import Shape
from cxai.simulator.bodies import result_json

NAMES = {
    "allParticipants": "all_participants",
    "participantOne": "participant_one",
    "participantTwo": "participant_two",
}
SCORES = {
    "score": "score",
    "minScore": "min_score",
    "minScoreOffset": "min_score_offset",
    "maxScore": "max_score",
    "maxScoreOffset": "max_score_offset",
    **{f"quartile{n}": f"quartile{n}" for n in range(1, 5)},
}


@dataclass(frozen=True)
class Night:
    """What the API sends for each ID of a night: the body of a 200, or None for a 404."""

    name: str
    run_id: str
    bodies: dict


def seven_nights():
    """Return the nights, with IDs of their own each."""
    numbers = count(1)

    def night(name, *bodies):
        ids = [f"00000000-0000-4000-8000-{next(numbers):012d}" for _ in bodies]
        run_id = f"11111111-1111-4111-8111-{next(numbers):012d}"
        return Night(name, run_id, dict(zip(ids, bodies, strict=True)))

    simulated = [json.loads(result_json(seed=1, variant=variant)) for variant in range(3)]
    return [
        night("all ok", *simulated),
        night("no segments", with_segments(None), with_segments([])),
        night("whole offsets", with_offsets(0, 1000, 251511), with_offsets(7, 2**53 + 1, 2**64)),
        night("fractional offsets", with_offsets(0.25, 1000.5, 1e-3), with_offsets(0, 0.75, 3)),
        night("unknown fields", *map(with_unknown, UNKNOWN)),
        night("only 404", None, None, None),
        night("null, then []", *with_and_without_participants()),
    ]


def with_segments(segments):
    body = sample()
    for participant in body.values():
        participant["voiceActivitySegments"] = segments
    return body


def with_offsets(start, end, other):
    body = sample()
    everyone = body["allParticipants"]
    everyone["enlightenBundles"][0]["models"][0] |= {"minScoreOffset": start, "maxScoreOffset": end}
    everyone["voiceActivitySegments"] = [
        {"startTimeOffset": start, "endTimeOffset": end, "result": "voice"},
        {"startTimeOffset": end, "endTimeOffset": other, "result": "silence"},
    ]
    return body


UNKNOWN = (
    {"confidence": 1},
    {"confidence": "high"},
    {"confidence": {"value": 0.5, "Value": 0.25, "VALUE": None}},
    {"confidence": [1, "two", {"three": 3}], "Confidence": True, "CONFIDENCE": 1.5},
    {"extra": {"a": 1}, "band": 7, "interaction_id": 1, "run_id": None, "line\n": '"},{"'},
    {"confidence": None},
)


def with_unknown(fields):
    """Return a body that has unknown fields in every object."""
    body = sample()
    everyone = body["allParticipants"]
    bundle = everyone["enlightenBundles"][0]
    owners = (bundle["models"][0], bundle, everyone["voiceActivitySegments"][1], everyone, body)
    for owner in owners:
        owner.update(fields)
    return body


def with_and_without_participants():
    body = sample()
    without_lists = {"enlightenBundles": None, "voiceActivitySegments": None}
    empty_lists = {"enlightenBundles": [], "voiceActivitySegments": []}
    no_models = {"enlightenBundles": [{"name": "B", "models": None}], "voiceActivitySegments": []}
    return (
        {**body, "participantOne": None},
        {"allParticipants": body["allParticipants"]},
        dict.fromkeys(NAMES),
        dict.fromkeys(NAMES, without_lists),
        dict.fromkeys(NAMES, empty_lists),
        dict.fromkeys(NAMES, no_models),
        {**body, "participantTwo": []},  # no result: it is listed among the failures
    )


def run_night(directory, night, shape=Shape.TABLES, compression=Compression.NONE):
    """Leave a directory as a run of that night does that came to its end."""
    clock, resource, rule = SystemClock(), CxAi(shape, night.run_id), IdRule()
    failures = FailureRows(resource.layout.schema_version, night.run_id)
    outcomes = []
    for number, (one, body) in enumerate(night.bodies.items(), 1):
        entry = rule.read(one.encode(), "ids.txt", number)
        found = None if body is None else resource.read(one, json.dumps(body).encode(), clock.utc())
        if body is None or isinstance(found, Failure):
            verdict = Verdict.NOT_FOUND if body is None else Verdict.BAD_BODY
            settle = Settle(verdict, "why", FailureStage.HEADERS)
            listed = failures.failure(entry, settle, attempts=1, at=clock.utc(), said=Said(404))
            outcomes.append(Outcome(entry, verdict, 1, listed))
        else:
            outcomes.append(Outcome(entry, Verdict.OK, 1, found.lines))
    with (
        OutputDirectory(directory) as output,
        Committer(
            output,
            ExportForm(LAYOUT, shape, compression),
            clock,
            part_bytes=1 << 28,
            run_id=night.run_id,
            emit=EventStream().emit,
        ) as store,
    ):
        for start in range(0, len(outcomes), 2):
            store.commit(outcomes[start : start + 2])
        store.end_run("finished", {"run_id": night.run_id, "ended": "finished"})


def expected(nights):
    """Return what has to be loaded of all these nights, told from the API's bodies alone.

    By table, sorted: the facts of each row that the API decides, JSON as text parsed.
    """
    facts = {"interactions": [], "scores": [], "segments": [], "failures": []}
    for night in nights:
        for one, body in night.bodies.items():
            if body is None or [] in body.values():
                facts["failures"].append((one, night.run_id))
                continue
            facts["interactions"].append((one, night.run_id, *_shape_of(body)))
            for participant, name in NAMES.items():
                content = body.get(participant) or {}
                facts["scores"] += _scores(one, name, content)
                facts["segments"] += _segments(one, name, content)
    return {name: sorted(rows, key=repr) for name, rows in facts.items()}


def _shape_of(body):
    for participant in NAMES:
        content = body.get(participant)
        bundles = (content or {}).get("enlightenBundles")
        segments = (content or {}).get("voiceActivitySegments")
        yield content is not None
        yield None if bundles is None else len(bundles)
        yield None if segments is None else len(segments)
        yield None if bundles is None else [_listed(bundle) for bundle in bundles]
        yield _unknown(content or {}, ("enlightenBundles", "voiceActivitySegments"))
    yield _unknown(body, NAMES)


def _listed(bundle):
    models = None if bundle["models"] is None else len(bundle["models"])
    extra = _unknown(bundle, ("name", "models"))
    return {"name": bundle["name"], "models": models, **({"extra": extra} if extra else {})}


def _scores(one, name, content):
    for bundle in content.get("enlightenBundles") or ():
        for model in bundle["models"] or ():
            numbers = (None if model[key] is None else float(model[key]) for key in SCORES)
            extra = _unknown(model, {*SCORES, "name"})
            yield (one, name, bundle["name"], model["name"], *numbers, extra)


def _segments(one, name, content):
    for number, segment in enumerate(content.get("voiceActivitySegments") or ()):
        known = ("startTimeOffset", "endTimeOffset", "result")
        start, end, result = (segment[key] for key in known)
        yield (one, name, number, float(start), float(end), result, _unknown(segment, known))


def _unknown(owner, known):
    return {key: value for key, value in owner.items() if key not in known} or None


_SUMMARY = ("present", "bundles", "segments", "bundle_list", "extra")

COLUMNS = {
    "interactions": (
        "interaction_id",
        "run_id",
        *(f"{name}_{fact}" for name in NAMES.values() for fact in _SUMMARY),
        "extra",
    ),
    "scores": ("interaction_id", "participant", "bundle", "model", *SCORES.values(), "extra"),
    "segments": (
        "interaction_id",
        "participant",
        "segment_index",
        "start_time_offset",
        "end_time_offset",
        "result",
        "extra",
    ),
    "failures": ("interaction_id", "run_id"),
}
"""The columns of the facts that are expected, by table."""


def facts_of(part_set, rows):
    """Return the facts of loaded rows, given as dicts, as `expected` has them."""
    return sorted((tuple(_facts(part_set, row)) for row in rows), key=repr)


def _facts(part_set, row):
    for name in COLUMNS[part_set]:
        is_json = name.endswith(("extra", "bundle_list")) and row[name] is not None
        yield json.loads(row[name]) if is_json else row[name]
