"""Bodies as the API sends them, and as it might one day."""

import json

from hypothesis import strategies as st

SAMPLE = {
    "allParticipants": {
        "enlightenBundles": [
            {
                "name": "Customer Satisfaction",
                "models": [
                    {
                        "name": "ActiveListening",
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
                ],
            },
            {"name": "Vulnerable Customer", "models": []},
        ],
        "voiceActivitySegments": [
            {"startTimeOffset": 0, "endTimeOffset": 1000, "result": "voice"},
            {"startTimeOffset": 1000, "endTimeOffset": 39000, "result": "silence"},
        ],
    },
    "participantOne": {"enlightenBundles": None, "voiceActivitySegments": None},
    "participantTwo": {"enlightenBundles": [], "voiceActivitySegments": []},
}


def sample():
    """Return a copy of the sample, to be changed."""
    return json.loads(json.dumps(SAMPLE))


def as_body(value):
    return json.dumps(value).encode()


def body_with_model(**fields):
    """Return the sample with one model changed; a field that is `...` is taken away."""
    value = sample()
    model = value["allParticipants"]["enlightenBundles"][0]["models"][0]
    model.update(fields)
    for key in [key for key, field in model.items() if field is ...]:
        del model[key]
    return as_body(value)


def body_with_score(token):
    return body_with_model(score="TOKEN").replace(b'"TOKEN"', token)


# What orjson reads without rounding; text without lone surrogates, which are no UTF-8.
numbers = st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
text = st.text(st.characters(exclude_categories=["Cs"]), max_size=8) | st.sampled_from(
    ["line\nfeed", "\r\n", "\u2028", "\u2029", '"\\', "\x00", "extra", "name"]
)
scalars = st.none() | st.booleans() | numbers | text
json_values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=6,
)

_SCORES = ("score", "minScore", "maxScore", "quartile1", "quartile2", "quartile3", "quartile4")
_OFFSETS = ("minScoreOffset", "maxScoreOffset")


def _objects(fields, deviating):
    whole = st.fixed_dictionaries(fields)
    if not deviating:
        return whole
    partial = st.fixed_dictionaries({}, optional=fields)
    unknown = st.dictionaries(text.filter(lambda key: key not in fields), json_values, max_size=2)
    odd = st.builds(lambda known, other: {**other, **known}, partial, unknown)
    return whole | odd


def results(*, deviating=False):
    """Return results in the documented form; `deviating` ones lack fields and have others."""
    name = st.none() | text
    number = st.none() | numbers
    model = _objects(
        {"name": name, **dict.fromkeys(_SCORES, number), **dict.fromkeys(_OFFSETS, number)},
        deviating,
    )
    bundle = _objects({"name": name, "models": _lists(model)}, deviating)
    segment = _objects(
        {"startTimeOffset": number, "endTimeOffset": number, "result": name}, deviating
    )
    participant = st.none() | _objects(
        {"enlightenBundles": _lists(bundle), "voiceActivitySegments": _lists(segment)}, deviating
    )
    participants = ("allParticipants", "participantOne", "participantTwo")
    result = _objects(dict.fromkeys(participants, participant), deviating)
    return result.filter(lambda body: not body.keys().isdisjoint(participants))


def _lists(elements):
    return st.none() | st.lists(elements, max_size=2)
