"""The shortest way to a real run."""

import pytest
from support.command import cxai, environment

# The simulator needs no rest between requests.
_QUICK = {"CXAI_RATE": "1000", "CXAI_BACKOFF_BASE_S": "0.01", "CXAI_RECHECK_S": "0.05"}


@pytest.fixture
def export(tmp_path):
    """Return `export(api, ids, *arguments, SETTING=value)`: a real `cxai run`, ended.

    The IDs go through standard input, the export to `tmp_path / "export"`.
    """

    def run(api, ids, *arguments, **settings):
        more = {f"CXAI_{name}": str(value) for name, value in settings.items()}
        return cxai(
            "run", "-o", tmp_path / "export", "--base-url", api.base_url, *arguments,
            stdin="\n".join(ids).encode(),
            env=environment(**{**_QUICK, **more}),
        )  # fmt: skip

    return run
