"""The soak of the cluster in small: `make soak-cluster` runs the same for a good while."""

from soak_cluster import run_soak


def test_workers_that_are_killed_and_frozen_export_each_id_exactly_once(tmp_path):
    told = []
    problems = run_soak(tmp_path, 600, rate=100.0, calm=False, say=told.append)
    assert problems == [], "\n".join(told)
