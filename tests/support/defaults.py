"""The settings of parts as a run has them by default, with what a test changes."""

from dataclasses import fields

from cxai.api.content_coding import DecodeSettings
from cxai.core.ending import Tolerance
from cxai.core.pipeline_settings import PipelineSettings
from cxai.governor.health import HealthSettings
from cxai.governor.local import RateSettings
from cxai.governor.patience import PatienceSettings
from cxai.policy.settings import PolicySettings
from cxai.settings import Settings
from cxai.sources.options import SourceOptions

DEFAULTS = Settings()

# Names that parts have for settings, where they differ.
_SETTINGS = {
    (PolicySettings, "patience_s"): "not_ready_timeout_s",
    (DecodeSettings, "decoded_bytes"): "max_decoded_bytes",
    (DecodeSettings, "ratio"): "max_ratio",
    (HealthSettings, "failures"): "outage_after",
    (HealthSettings, "others"): "in_flight",
    (HealthSettings, "probe_base_s"): "backoff_base_s",
    (HealthSettings, "probe_cap_s"): "backoff_cap_s",
    (PatienceSettings, "outage_s"): "outage_patience_s",
    (SourceOptions, "patience_s"): "queue_patience_s",
}


def _made(kind, positional, given):
    names = [field.name for field in fields(kind)]
    given = {**dict(zip(names, positional, strict=False)), **given}
    for name in names:
        setting = _SETTINGS.get((kind, name), name)
        if name not in given and hasattr(DEFAULTS, setting):
            given[name] = getattr(DEFAULTS, setting)
    return kind(**given)


def pipeline_settings(**given):
    return _made(PipelineSettings, (), given)


def policy_settings(**given):
    return _made(PolicySettings, (), given)


def rate_settings(rate, *given, **named):
    return _made(RateSettings, (rate, *given), named)


def decode_settings(*given, **named):
    return _made(DecodeSettings, given, named)


def health_settings(*given, **named):
    return _made(HealthSettings, given, named)


def patience_settings(outage_s=DEFAULTS.outage_patience_s, start_s=600.0):
    return PatienceSettings(outage_s, start_s)


def tolerating(max_failed=0.0, **named):
    return _made(Tolerance, (max_failed,), named)


def source_options(rule, **given):
    return _made(SourceOptions, (rule,), given)
