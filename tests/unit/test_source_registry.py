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


def test_files_are_read_in_order(tmp_path):
    first, second = tmp_path / "a.txt", tmp_path / "b.csv"
    first.write_text(f"{GUID}\n")
    second.write_text(f"interaction_id\n{GUID}\n")
    source = open_source([str(first), str(second)], OPTIONS)
    lines = [(entry.source, entry.line) for block in blocks_of(source) for entry in block]
    assert lines == [(str(first), 1), (str(second), 2)]


def test_opening_a_file_checks_its_content(tmp_path):
    (tmp_path / "ids.txt").write_text("# none\n")
    assert "contains no ID" in refusal(str(tmp_path / "ids.txt"))
    options = source_options(IdRule(), allow_empty=True)
    assert open_source([str(tmp_path / "ids.txt")], options).is_queue is False


@pytest.mark.promise(
    "`s3://…` or another URL as input, a socket, a directory; `~` in quotes",
    "refused with the name and the remedy; `~` is the home directory",
    group="Input",
)
@pytest.mark.parametrize(
    "url", ["s3://bucket/ids.txt", "https://x/ids", "kafka://host/0", "s3:/b/x", "file:///ids.txt"]
)
def test_an_unsupported_url_is_refused_with_the_supported_inputs(url):
    said = refusal(url)
    scheme = url.partition(":")[0]
    assert said.startswith(f"{url}: {scheme}:// is not a supported input. Supported are files")
    assert said.endswith("Save the IDs to a file, or pipe them in.")


def test_a_mistyped_scheme_gets_a_suggestion():
    said = refusal("reddis://host/0/ids")
    assert "Did you mean redis://? Supported are" in said
    assert "standard input (-), redis://, rediss://, sqs://." in said


def test_sources_of_different_kinds_are_not_read_together():
    assert refusal("ids.txt", "redis://x").startswith("ids.txt and redis://x are different kinds")
    assert refusal("-", "redis://x").startswith("- and redis://x are different kinds of source")


def test_a_password_in_a_url_is_not_shown():
    assert refusal("kafka://user:s3cret@host/0").startswith("kafka://…@host/0: kafka:// is not")
    assert "s3cret" not in refusal("redis://user:s3cret@host/0/ids")
    assert "s3cret" not in refusal("sqs://key:s3cret@ids")


@pytest.mark.parametrize("name", ["redis://host/0/ids", "sqs://ids"])
def test_a_run_reads_one_queue_without_a_column(name):
    assert "Use a separate run for each" in refusal(name, name)
    assert "--field" in refusal(name, options=source_options(IdRule(), column="id"))


@pytest.mark.parametrize(
    "name", ["sqs://", "sqs://ids?zone=x", "sqs://1/ids", "sqs://a/b/c", "sqs://a b"]
)
def test_an_invalid_sqs_url_is_refused_with_the_form(name):
    assert "sqs://" in refusal(name)


def test_until_idle_is_for_queues_only(tmp_path):
    (tmp_path / "ids.txt").write_text(GUID)
    options = source_options(IdRule(), until_idle_s=5.0)
    assert "--until-idle" in refusal(str(tmp_path / "ids.txt"), options=options)


@pytest.mark.parametrize(
    ("name", "package", "extra"),
    [("redis://host/0/ids", "redis", "redis"), ("sqs://ids", "aiobotocore", "sqs")],
)
def test_a_missing_package_is_named_with_the_install_command(name, package, extra):
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
    assert "contains the API token" in said
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
