import pytest
from support.doubles import ListSource, entries

from cxai.errors import InputBrokenError
from cxai.sources.blocking import blocks_of


def test_all_batches_come_in_order_an_empty_one_is_not_the_end():
    blocks = [entries("a"), [], entries("b", "c")]
    assert list(blocks_of(ListSource(blocks))) == blocks


def test_a_source_that_breaks_says_so_after_what_came_before():
    blocks = blocks_of(ListSource([entries("a")], breaks=InputBrokenError("It broke.")))
    assert next(blocks) == entries("a")
    with pytest.raises(InputBrokenError, match="It broke"):
        next(blocks)


def test_a_reader_that_leaves_early_lets_go_of_the_source():
    source = ListSource([entries("a"), entries("b")])
    blocks = blocks_of(source)
    next(blocks)
    blocks.close()
    assert source.closed
