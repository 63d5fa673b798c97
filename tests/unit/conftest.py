"""Fixtures of the unit tests."""

import threading

import pytest
from support.inputs import open_files


@pytest.fixture
def nothing_left_open():
    """Fail a test that leaves a reader thread or an open file behind."""
    before = open_files()
    yield
    assert [thread.name for thread in threading.enumerate() if thread.name == "source"] == []
    assert open_files() == before
