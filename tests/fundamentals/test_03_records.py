"""Records come as one nested line per interaction, or as rows of three tables."""

import gzip

from support.command import cxai, rows

from cxai.simulator import Scenario, expected_result


def test_tables_hold_a_row_per_score_and_per_segment(simulated, guids, tmp_path, export):
    ids = guids(5)
    with simulated() as api:
        export(api, ids, "--shape", "tables")
    sent = {i: expected_result(Scenario(), i) for i in ids}
    scores = [
        (i, model["name"], model["score"])
        for i, result in sent.items()
        for participant in result.values()
        for bundle in participant["enlightenBundles"]
        for model in bundle["models"]
    ]
    segments = sum(
        len(participant["voiceActivitySegments"] or ())
        for result in sent.values()
        for participant in result.values()
    )
    directory = tmp_path / "export"
    written = [(r["interaction_id"], r["model"], r["score"]) for r in rows(directory, "scores")]
    assert sorted(written) == sorted(scores)
    assert len(rows(directory, "segments")) == segments
    assert {row["interaction_id"] for row in rows(directory, "interactions")} == set(ids)


def test_score_bands_come_from_configuration(simulated, guids, tmp_path, export):
    bands = tmp_path / "bands.toml"
    bands.write_text(
        """
        [[table]]
        bundle = "Customer Satisfaction"
        bands = [{ name = "low", upper = 0 }, { name = "high", lower = 0 }]
        """
    )
    with simulated() as api:
        export(api, guids(5), "--shape", "tables", "--score-bands", bands)
    for row in rows(tmp_path / "export", "scores"):
        if row["bundle"] == "Customer Satisfaction":
            assert row["band"] == ("high" if row["score"] > 0 else "low")
        else:
            assert row["band"] is None


def test_parts_can_be_compressed(simulated, guids, tmp_path, export):
    with simulated() as api:
        export(api, guids(5), "--compression", "gzip")
    text = gzip.decompress((tmp_path / "export" / "records-000001.jsonl.gz").read_bytes())
    assert text.count(b"\n") == 5


def test_the_schema_is_there_for_who_loads_the_records():
    schema = cxai("schema").json
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert "all_participants" in schema["properties"]
    assert "score" in cxai("schema", "scores").json["properties"]


def test_an_unknown_set_is_refused():
    assert cxai("schema", "cubes").code == 2
