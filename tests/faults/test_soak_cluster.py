"""The soak of the cluster in small: `make soak-cluster` runs the same for a good while."""

import pytest
from soak_cluster import run_soak

pytestmark = pytest.mark.long(26)

SEED = 349
"""Within eight seconds of disturbance it has each kind but a killed engine."""


@pytest.mark.promise(
    "Workers that share an export are killed and frozen beyond every lease, and cut off the engine",
    "each ID has one verdict, each `ok` one record, and the server sees no more than is allowed",
    group="Cluster",
)
def test_workers_that_are_killed_and_frozen_export_each_id_exactly_once(tmp_path):
    said = []
    problems = run_soak(
        tmp_path, 300, seconds=8.0, rate=45.0, seed=SEED, calm=False, say=said.append
    )
    assert problems == [], "\n".join(said)
    assert any("1 freezes" in line and "1 network cuts" in line for line in said), said
