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


def test_the_locked_aiohttp_uses_the_thin_exchange(notices):
    assert chosen_exchange(notices) is ThinExchange
    assert notices.all == []


@pytest.mark.parametrize("version", ["3.13.9", "3.15.0", "4.0.0a1", "3.140.0", "3"])
def test_an_untested_aiohttp_uses_the_session_and_reports_it(notices, version):
    assert chosen_exchange(notices, version=version) is SessionExchange
    reason = f"aiohttp {version} is not one of the versions tested (3.14.*)"
    assert notices.all == [("slower_requests", reason)]


def test_without_the_c_parser_the_session_is_used(notices):
    assert chosen_exchange(notices, parser=HttpResponseParserPy) is SessionExchange
    assert notices.all == [("slower_requests", "aiohttp was installed without its C extensions")]


def test_a_patch_release_of_a_tested_version_counts_as_tested(notices):
    assert chosen_exchange(notices, version="3.14.99") is ThinExchange
