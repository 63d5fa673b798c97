"""How many file descriptors a run has to have."""

import subprocess
import sys

import pytest

from cxai.cli.descriptors import OWN

IN_FLIGHT = 200
READERS = 2
NEEDED = IN_FLIGHT + READERS + OWN


def limit_after(soft, hard):
    """Return the limit of a process that was started with these two, or how it was refused."""
    program = f"""
import resource
from cxai.cli.descriptors import need_descriptors
from cxai.errors import UsageError
resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}))
try:
    need_descriptors({IN_FLIGHT}, {READERS})
    print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
except UsageError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    return done.stdout.decode().strip()


@pytest.mark.promise(
    "Too few file descriptors for `in_flight`",
    "the limit is raised as far as needed; where the system forbids it, exit code 2 with the"
    " figures",
    group="HTTP",
)
@pytest.mark.parametrize(
    ("soft", "hard", "limit"),
    [(64, 4096, NEEDED), (64, NEEDED, NEEDED), (NEEDED, NEEDED, NEEDED), (1024, 4096, 1024)],
)
def test_the_limit_is_raised_as_far_as_it_is_needed(soft, hard, limit):
    assert limit_after(soft, hard) == str(limit)


@pytest.mark.parametrize(
    ("hard", "way_out"),
    [(NEEDED - 1, "lower in_flight to 199 or less"), (64, "lower in_flight to 14 or less")],
)
def test_where_it_may_not_be_raised_the_run_is_refused_with_the_figures(hard, way_out):
    message = limit_after(64, hard)
    assert f"200 requests in flight need {NEEDED} file descriptors" in message
    assert f"a process here is limited to {hard} (ulimit -Hn)" in message
    assert way_out in message
