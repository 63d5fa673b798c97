"""The reader of replies as a run wires it."""

from support.store import RUN_ID

from cxai.api.content_coding import Limits, decode
from cxai.policy.reply import Arrival
from cxai.resources.cx_ai.resource import CxAi
from cxai.resources.options import Shape
from cxai.resources.reader import BodyReader
from cxai.resources.reply_parser import ReplyParser


def reader_of(thread, *, resource=None, most_bytes=8 << 20, secrets=None):
    """Return a reader of nested CX AI records, or of another `resource`."""
    parser = ReplyParser(resource or CxAi(Shape.NESTED, RUN_ID), decoded, secrets)
    return BodyReader(parser, most_bytes, thread)


async def seen_by(reader, interaction_id, question, reply, at):
    """Return what a reader makes of one reply."""
    (seen,) = await reader.read([Arrival(interaction_id, question, reply)], at)
    return seen


def decoded(body, content_encoding, most_bytes):
    return decode(body, content_encoding, Limits(most_bytes))
