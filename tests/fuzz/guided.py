"""The same target under atheris, which looks for inputs that reach new branches of the worker.

With atheris installed, `PYTHONPATH=worker:tests python -m fuzz.guided -max_total_time=600 CORPUS/`;
all options are libFuzzer's. An input is a Content-Encoding, a line feed, and the body.
"""

import sys
from random import Random

import atheris  # not among the development requirements: not every Python and machine has a wheel

with atheris.instrument_imports(include=["cxai"]):
    from fuzz.inputs import damaged, encoded, make_input
    from fuzz.target import LIMITS, check, check_retry_after, decode


def play(data):
    content_encoding, body = taken_apart(data)
    check(body, content_encoding)
    check_retry_after(content_encoding)


def taken_apart(data):
    header, _, body = data.partition(b"\n")
    return header.decode("latin-1"), body


def mutate(data, max_size, seed):
    """Change the encoded bytes, or what they hold, or begin with another input."""
    chance = Random(seed)
    content_encoding, body = taken_apart(data)
    match chance.randrange(5):
        case 0:
            made = make_input(seed)
            content_encoding, body = made.content_encoding, made.body
        case 1:
            body = damaged(chance, body)
        case 2 | 3 if isinstance(plain := decode(body, content_encoding, LIMITS), bytes):
            content_encoding = chance.choice(("", "gzip", "deflate", "br"))
            body = atheris.Mutate(plain, max_size) if plain else b"{}"
            if content_encoding:
                body = encoded(chance, content_encoding, body)
        case _:
            return atheris.Mutate(data, max_size)
    changed = content_encoding.encode("latin-1", "replace") + b"\n" + body
    return changed if len(changed) <= max_size else data


def main():
    atheris.Setup(sys.argv, play, custom_mutator=mutate)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
