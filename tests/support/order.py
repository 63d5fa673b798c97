"""In which order the tests run, where several processes share them: what takes long begins first.

`--dist worksteal` gives each process a stretch of neighbouring tests, and one that is done takes
over from the end of another's. A file that takes long and comes late makes the others wait for it,
and starts its servers once for each process that gets a part of it. So each stretch begins with
such files, shared evenly; what is left for the end are tests of milliseconds.
"""

import os
from itertools import islice

MARK = "long"
"""The mark of such a file: `pytestmark = pytest.mark.long(seconds)`, by a whole run's durations."""


def processes():
    """Return among how many processes the tests are shared."""
    return int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))


def long_ones_first(items, count):
    """Return the tests in another order, for `count` processes."""
    files, others = {}, []
    for item in items:
        if mark := item.get_closest_marker(MARK):
            files.setdefault((*mark.args, item.path), []).append(item)
        else:
            others.append(item)
    shares = [[] for _ in range(count)]
    taken_s = [0] * count
    for (seconds, _), tests in sorted(files.items(), key=lambda file: file[0], reverse=True):
        least = taken_s.index(min(taken_s))
        taken_s[least] += seconds
        shares[least] += tests
    return _filled(shares, others)


def _filled(shares, others):
    """Return all in one list, whose stretches, as xdist cuts them, each begin with a share."""
    left, others = sum(map(len, [*shares, others])), iter(others)
    ordered = []
    for number, share in enumerate(shares):
        length = left // (len(shares) - number)
        stretch = [*share, *islice(others, max(0, length - len(share)))]
        left -= len(stretch)
        ordered += stretch
    return [*ordered, *others]
