"""What is promised of faults, docs/promise.md, is what the tests show."""

from support.promise import GROUPS, PAGE, markdown, rows


def test_the_page_of_promises_is_what_the_tests_say():
    assert PAGE.read_text(encoding="utf-8") == markdown(rows()), (
        "docs/promise.md is not what the tests say: run `make promise`"
    )


def test_every_group_of_faults_has_its_rows():
    assert {row.group for row in rows()} == set(GROUPS)


def test_no_fault_of_a_group_is_promised_twice():
    faults = [(row.group, row.fault) for row in rows()]
    assert len(faults) == len(set(faults))
