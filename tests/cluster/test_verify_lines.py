"""The lines of an object as `cxai verify` reads them, whatever its compression."""

from io import BytesIO

import pytest

from cxai.cluster.verify.objects import UNPACKING_ERRORS, lines_in
from cxai.output.codecs import COMPRESS
from cxai.output.compression import Compression


@pytest.mark.parametrize("compression", Compression)
def test_lines_are_read_from_any_number_of_frames(compression):
    texts = [b"first\n", b"second\nthird\n", b"x" * 3_000_000 + b"\n", b"last\n"]
    content = b"".join(b"".join(COMPRESS[compression]([text])) for text in texts)
    lines = list(lines_in(BytesIO(content), compression))
    assert lines == b"".join(texts).split(b"\n")[:-1]


@pytest.mark.parametrize("compression", [Compression.GZIP, Compression.ZSTD])
def test_content_that_is_cut_off_is_not_taken_for_whole(compression):
    content = b"".join(COMPRESS[compression]([b"a line\n"]))
    for size in range(1, len(content)):
        with pytest.raises(UNPACKING_ERRORS):
            list(lines_in(BytesIO(content[:size]), compression))


@pytest.mark.parametrize("compression", [Compression.GZIP, Compression.ZSTD])
def test_content_followed_by_other_bytes_is_not_taken_for_whole(compression):
    content = b"".join(COMPRESS[compression]([b"a line\n"]))
    with pytest.raises(UNPACKING_ERRORS):
        list(lines_in(BytesIO(content + b"more"), compression))
