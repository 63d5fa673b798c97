"""The composition root of one worker among many: it works at an export that a database keeps.

What differs from a run on one machine is the source, the ledger and the pace; the pipeline between
them is the same.
"""

import asyncio
import os
import socket
import uuid
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace

from pydantic import SecretStr

from cxai.api.content_coding import check_codecs
from cxai.api.token import Token
from cxai.clock import SystemClock
from cxai.closing import log_end
from cxai.cluster.books import Books
from cxai.cluster.engine import Engine
from cxai.cluster.holdings import Holdings
from cxai.cluster.ledger import ClusterLedger
from cxai.cluster.limiter import ClusterLimiter, GovernedFetcher
from cxai.cluster.limits import AccountLimits
from cxai.cluster.manifest import Manifest
from cxai.cluster.membership import Membership
from cxai.cluster.publishing import Publishing
from cxai.cluster.restored import refuse_restored
from cxai.cluster.slots import Slots
from cxai.cluster.source import ClusterSource
from cxai.cluster.url import EngineUrl
from cxai.core.backlog import Backlog
from cxai.core.bounds import Bounds
from cxai.core.ending import Tolerance
from cxai.core.pipeline import Pipeline
from cxai.core.stop import StopRequest
from cxai.core.tally import Tally
from cxai.errors import CxaiError, FencedError
from cxai.inspect.report import Report
from cxai.objects.registry import open_store
from cxai.observe.logging import LOG
from cxai.observe.monitor import RunMonitor
from cxai.observe.redaction import Redaction
from cxai.observe.registry import open_observers
from cxai.resources.failures import FailureRows
from cxai.resources.options import RowOptions
from cxai.resources.registry import open_resource
from cxai.settings import Settings
from cxai.terms import ranges_of, shared_settings
from cxai.wiring import client_of, wired

_OBJECT_BYTES = 64 << 20
"""Lines of one object, before compression, at most."""

_AHEAD = 200
"""IDs that a worker claims ahead of its requests: few enough that all share the end of an input."""
