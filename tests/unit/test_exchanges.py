"""Which way requests take: the quick one where it was tested, the ordinary one anywhere else."""

import pytest
from aiohttp.http_parser import HttpResponseParserPy

from cxai.api.exchanges import chosen_exchange
from cxai.api.session_exchange import SessionExchange
from cxai.api.thin_exchange import ThinExchange


class Notices:
    """What was noted."""

    def __init__(self):
        self.all = []

    def __call__(self, event, *, reason):
        self.all.append((event, reason))


@pytest.fixture
def notices():
    return Notices()


def test_with_the_aiohttp_of_the_locks_requests_take_the_quick_way(notices):
    assert chosen_exchange(notices) is ThinExchange
    assert notices.all == []


@pytest.mark.parametrize("version", ["3.13.9", "3.15.0", "4.0.0a1", "3.140.0", "3"])
def test_with_an_aiohttp_that_was_not_tested_they_take_the_ordinary_way_and_that_is_noted(
    notices, version
):
    assert chosen_exchange(notices, version=version) is SessionExchange
    reason = f"aiohttp {version} is not one of the versions tested (3.14.*)"
    assert notices.all == [("slower_requests", reason)]


def test_without_the_parser_in_c_they_do_too(notices):
    assert chosen_exchange(notices, parser=HttpResponseParserPy) is SessionExchange
    assert notices.all == [("slower_requests", "aiohttp was installed without its C extensions")]


def test_another_patch_of_a_tested_version_is_tested(notices):
    assert chosen_exchange(notices, version="3.14.99") is ThinExchange
