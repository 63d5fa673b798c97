"""What errors of a Redis server, and of its connection, mean for reading a stream."""

import ssl

from redis import exceptions

from cxai.sources.queue import DeniedError, RefusedError, UnreachableError

# First words of errors that pass: a failover, a full disk or memory, a restart.
_TRANSIENT = {
    *("READONLY", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "NOREPLICAS", "MISCONF", "OOM"),
    *("UNBLOCKED", "LOADING"),
}

GROUP_GONE = (
    "the consumer group no longer exists, so messages may be lost. Was it or the stream deleted, or"
    " did Redis lose its data (FLUSHALL, a restart without persistence)? The next run starts with"
    " the oldest message in the stream; send any missing messages again."
)

# First words of errors that do not pass, and their explanations.
_REFUSALS = {
    "NOGROUP": GROUP_GONE,
    "WRONGTYPE": "the key is not a stream. Name the key of a stream.",
    "MOVED": "another node of the cluster has this key ({text}). Name that node.",
}


def meaning(error: Exception) -> UnreachableError | RefusedError:
    """Return the meaning of an error for reading, without the address that the client adds."""
    match error:
        case exceptions.ResponseError():
            return _error_reply(error)
        case exceptions.AuthenticationError():
            return RefusedError(
                f"login refused: {error} The password comes from CXAI_REDIS_PASSWORD or from the"
                " file that CXAI_REDIS_PASSWORD_FILE names, the user from the URL"
                " (redis://user@host)."
            )
        case exceptions.InvalidResponse() | ValueError():
            why = "the server does not speak the Redis protocol. Check host and port."
            return RefusedError(why)
        case TimeoutError():
            return UnreachableError("no reply")
    return _connection_failure(error)


def _error_reply(error: exceptions.ResponseError) -> UnreachableError | RefusedError:
    text = str(error)
    code = getattr(error, "status_code", None) or text.partition(" ")[0]
    if code in _TRANSIENT:
        return UnreachableError(f"server error: {text}")
    if code == "NOPERM":
        return DeniedError(
            f"permission denied ({text}). The user needs XGROUP, XREADGROUP, XAUTOCLAIM, XPENDING,"
            " XACK and XINFO for this key, and INFO."
        )
    if "unknown command" in text:
        return RefusedError(f"the server lacks a command: {text}. It must be Redis 6.2 or later.")
    return RefusedError(_REFUSALS.get(code, "server error: {text}.").format(text=text))


def _connection_failure(error: Exception) -> UnreachableError | RefusedError:
    cause = error.__cause__ or error.__context__ or error
    if isinstance(cause, ssl.SSLCertVerificationError):
        return RefusedError(
            f"the server's certificate is not trusted: {cause.verify_message}. Name the file of its"
            " CA with ?ca_file=…"
        )
    if isinstance(cause, OSError) and cause.strerror:
        return UnreachableError(cause.strerror)
    return UnreachableError(str(error) or type(error).__name__)
