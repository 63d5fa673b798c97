"""The soak in small: `make soak` runs the same for a good while."""

import pytest
from soak import run_soak

pytestmark = pytest.mark.long(10)


def test_an_export_in_a_storm_that_is_killed_is_reconciled_exactly(tmp_path):
    told = []
    problems = run_soak(tmp_path, ids=300, kills=2, say=told.append)
    assert problems == [], "\n".join(told)
