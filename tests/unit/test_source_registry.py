import subprocess
import sys
from importlib import import_module

import pytest
from support.defaults import source_options

from cxai.core.entry import IdRule
from cxai.core.secret import Secrets
from cxai.errors import UsageError
from cxai.sources.blocking import blocks_of
from cxai.sources.registry import SOURCES, open_source

GUID = "3f2504e0-4f89-11d3-9a0c-0305e82c3301"
OPTIONS = source_options(IdRule())


def refusal(*names, options=OPTIONS):
    with pytest.raises(UsageError) as raised:
        open_source(names, options)
    return str(raised.value)


def test_paths_are_files_one_after_the_other(tmp_path):
    first, second = tmp_path / "a.txt", tmp_path / "b.csv"
    first.write_text(f"{GUID}\n")
    second.write_text(f"interaction_id\n{GUID}\n")
    source = open_source([str(first), str(second)], OPTIONS)
    lines = [(entry.source, entry.line) for block in blocks_of(source) for entry in block]
    assert lines == [(str(first), 1), (str(second), 2)]


def test_a_source_that_is_opened_has_been_looked_at(tmp_path):
    (tmp_path / "ids.txt").write_text("# none\n")
    assert "holds no ID" in refusal(str(tmp_path / "ids.txt"))
    options = source_options(IdRule(), allow_empty=True)
    assert open_source([str(tmp_path / "ids.txt")], options).is_queue is False


@pytest.mark.promise(
    "`s3://…` or another URL as input, a socket, a directory; `~` in quotes",
    "refused by name with what to do instead; `~` is the home directory",
    group="Input",
)
@pytest.mark.parametrize(
    "url", ["s3://bucket/ids.txt", "https://x/ids", "kafka://host/0", "s3:/b/x", "file:///ids.txt"]
)
def test_a_url_without_a_source_is_refused_with_what_there_is_instead(url):
    said = refusal(url)
    assert said.startswith(f"{url} is a URL. {url.partition(':')[0]}:// is not supported")
    assert "only files" in said
    assert "pipe them into standard input (-)" in said


def test_a_scheme_that_is_mistyped_is_put_right():
    said = refusal("reddis://host/0/ids")
    assert "redis://, rediss://, sqs:// and standard input. Do you mean redis" in said


def test_sources_of_different_kinds_are_not_read_together():
    assert refusal("ids.txt", "redis://x").startswith("ids.txt and redis://x are sources of diff")
    assert refusal("-", "redis://x").startswith("- and redis://x are sources of different kinds")


def test_a_password_in_a_url_is_not_shown():
    assert refusal("kafka://user:s3cret@host/0").startswith("kafka://…@host/0 is a URL.")
    assert "s3cret" not in refusal("redis://user:s3cret@host/0/ids")
    assert "s3cret" not in refusal("sqs://key:s3cret@ids")


@pytest.mark.parametrize("name", ["redis://host/0/ids", "sqs://ids"])
def test_a_queue_is_one_and_has_no_columns(name):
    assert "give each to a run of its own" in refusal(name, name)
    assert "--field" in refusal(name, options=source_options(IdRule(), column="id"))


@pytest.mark.parametrize(
    "name", ["sqs://", "sqs://ids?zone=x", "sqs://1/ids", "sqs://a/b/c", "sqs://a b"]
)
def test_a_queue_of_sqs_is_named_by_its_name_and_account(name):
    assert "sqs://" in refusal(name)


def test_only_a_queue_ends_when_it_is_idle(tmp_path):
    (tmp_path / "ids.txt").write_text(GUID)
    options = source_options(IdRule(), until_idle_s=5.0)
    assert "--until-idle" in refusal(str(tmp_path / "ids.txt"), options=options)


@pytest.mark.parametrize(
    ("name", "package", "extra"),
    [("redis://host/0/ids", "redis", "redis"), ("sqs://ids", "aiobotocore", "sqs")],
)
def test_a_package_that_is_missing_is_named_with_how_to_install_it(name, package, extra):
    command = (
        f"import sys; sys.modules['{package}'] = None\n"
        "from cxai.core.entry import IdRule\n"
        "from cxai.sources.options import SourceOptions\n"
        "from cxai.sources.registry import open_source\n"
        "options = SourceOptions(IdRule(), None, None, False, None, 0.0, None)\n"
        f"open_source(['{name}'], options)"
    )
    ended = subprocess.run([sys.executable, "-c", command], capture_output=True, check=False)
    assert f'pip install "cxai-worker[{extra}]"' in ended.stderr.decode()


@pytest.mark.parametrize(
    ("names", "place"),
    [
        ([f"s3://{GUID}/ids"], {}),
        ([f"{GUID}.txt"], {}),
        (["ids.txt"], {"column": GUID}),
        (["ids.txt"], {"field": GUID}),
    ],
)
def test_a_name_with_the_token_is_refused_and_not_shown(names, place):
    said = refusal(*names, options=source_options(IdRule(secrets=Secrets(GUID)), **place))
    assert "holds the API token" in said
    assert GUID not in said


@pytest.mark.parametrize("module", sorted(set(SOURCES.values())))
def test_each_source_has_an_opener(module):
    assert callable(import_module(module).open_source)


def test_no_source_is_imported_before_it_is_opened():
    command = (
        "import sys, cxai.sources.registry as r; print(*set(r.SOURCES.values()) & {*sys.modules})"
    )
    ended = subprocess.run([sys.executable, "-c", command], capture_output=True, check=True)
    assert ended.stdout.strip() == b""
