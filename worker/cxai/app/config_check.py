"""Whether a run could use its settings: the files that they name, URLs, and the token."""

import os
from collections.abc import Callable

from cxai.api.base_url import checked_base_url
from cxai.api.proxy import checked_proxy
from cxai.api.tls import trust
from cxai.api.token import VARIABLE, read_token
from cxai.app.wiring import score_ranges
from cxai.core.entry import IdRule
from cxai.errors import UsageError
from cxai.resources.options import RowOptions
from cxai.resources.registry import open_resource
from cxai.settings import Settings
from cxai.sources.redis_password import read_password


def problems_of(settings: Settings) -> list[str]:
    """Return what is wrong with settings whose values are of the right form. Sends no request."""
    checks: list[Callable[[], object]] = [
        lambda: checked_base_url(settings.base_url),
        lambda: trust(settings.ca_file),
        lambda: IdRule(settings.id_pattern),
        lambda: open_resource(
            settings.resource, RowOptions(settings.shape, "", score_ranges(settings))
        ),
    ]
    if (proxy := settings.proxy) is not None:
        checks.append(lambda: checked_proxy(proxy))
    if settings.token_file is not None or os.environ.get(VARIABLE):
        checks.append(lambda: read_token(settings.token_file))
    if (file := settings.redis_password_file) is not None:
        checks.append(lambda: read_password(file))
    problems = []
    for check in checks:
        try:
            check()
        except UsageError as error:
            problems.append(str(error))
    return problems
