"""What is promised of faults, docs/promise.md, is what the tests show."""

import pytest
from support.promise import GROUPS, PAGE, markdown, rows


@pytest.fixture(scope="module")
def promised():
    return rows()


def test_the_page_of_promises_is_what_the_tests_say(promised):
    assert PAGE.read_text(encoding="utf-8") == markdown(promised), (
        "docs/promise.md is not what the tests say: run `make promise`"
    )


def test_every_group_of_faults_has_its_rows(promised):
    assert {row.group for row in promised} == set(GROUPS)


def test_no_fault_of_a_group_is_promised_twice(promised):
    faults = [(row.group, row.fault) for row in promised]
    assert len(faults) == len(set(faults))
