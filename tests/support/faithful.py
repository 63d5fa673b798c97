"""Whether a record holds all that was sent, and nothing else."""

from cxai.resources.cx_ai.form import PARTICIPANTS

CAMEL = {
    "all_participants": "allParticipants",
    "participant_one": "participantOne",
    "participant_two": "participantTwo",
    "enlighten_bundles": "enlightenBundles",
    "voice_activity_segments": "voiceActivitySegments",
    "start_time_offset": "startTimeOffset",
    "end_time_offset": "endTimeOffset",
    "min_score": "minScore",
    "max_score": "maxScore",
    "min_score_offset": "minScoreOffset",
    "max_score_offset": "maxScoreOffset",
    **{name: name for name in ("name", "models", "score", "result")},
    **{f"quartile{n}": f"quartile{n}" for n in range(1, 5)},
}


def as_sent(participants):
    """Return what must have been sent for `participants`: names as they were, extra put back."""

    def undone(owner, names, lists=()):
        sent = {names[key]: value for key, value in owner.items() if key != "extra"}
        for key, undo in lists:
            if sent[key] is not None:
                sent[key] = [undo(element) for element in sent[key]]
        return {**sent, **owner.get("extra", {})}

    def participant(owner):
        if owner is None:
            return None
        lists = [("enlightenBundles", bundle), ("voiceActivitySegments", segment)]
        return undone(owner, CAMEL, lists)

    def bundle(owner):
        return undone(owner, CAMEL, [("models", model)])

    def model(owner):
        return undone(owner, CAMEL)

    def segment(owner):
        return undone(owner, CAMEL)

    sent = {CAMEL[key]: participant(participants[key]) for key in PARTICIPANTS}
    return {**sent, **participants.get("extra", {})}


def covers(kept, sent):
    """Tell whether `kept` has all of `sent`, and beyond it nothing but nulls."""
    if isinstance(sent, dict):
        return (
            isinstance(kept, dict)
            and all(key in kept and covers(kept[key], value) for key, value in sent.items())
            and all(kept[key] is None for key in kept.keys() - sent.keys())
        )
    if isinstance(sent, list):
        return isinstance(kept, list) and len(kept) == len(sent) and all(map(covers, kept, sent))
    if isinstance(sent, int | float) and not isinstance(sent, bool):
        return kept == sent or kept == float(sent)
    return type(kept) is type(sent) and kept == sent
