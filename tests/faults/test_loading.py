"""Seven nights that differ as nights do load into the same declared tables, one after the other."""

import json
import math
import os
import re
import runpy
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from support.command import cxai, environment
from support.nights import COLUMNS, expected, facts_of, run_night, seven_nights

from cxai.cli.main import app
from cxai.errors import UsageError
from cxai.output.compression import Compression
from cxai.resources.cx_ai.layout import PART_SETS
from cxai.resources.cx_ai.schema import Dialect, ddl, json_schema, tables_of
from cxai.resources.options import Shape

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "loading.md"
SETS = PART_SETS[Shape.TABLES]
NIGHTS = seven_nights()
EXPECTED = expected(NIGHTS)
EVERY_SET = pytest.mark.parametrize("part_set", SETS)


def recipe(name):
    """Return a script of docs/how-to/loading.md."""
    (script,) = re.findall(rf"```python\n# {name}\n(.*?)```", PAGE.read_text(), re.DOTALL)
    return script


@pytest.fixture(scope="module", params=list(Compression))
def nights(request, tmp_path_factory):
    """Return the directories of all nights; each has the night in `export`, as the page says."""
    root = tmp_path_factory.mktemp("nights")
    declared = "\n".join(ddl(table, Dialect.DUCKDB) for table in tables_of(Shape.TABLES))
    schemas = json_schema(Shape.TABLES)
    directories = []
    for number, night in enumerate(NIGHTS, 1):
        directory = root / f"night-{number}"
        run_night(directory / "export", night, compression=request.param)
        (directory / "tables.sql").write_text(declared)
        for name in SETS:
            (directory / f"{name}.json").write_text(json.dumps(schemas[name]))
        directories.append(directory)
    return directories


@pytest.fixture(scope="module")
def duckdb():
    """Return the module: only who needs it waits for its import."""
    return import_module("duckdb")


@pytest.fixture(scope="module")
def polars():
    return import_module("polars")


@pytest.fixture(scope="module")
def pyarrow():
    return import_module("pyarrow")


def parts_of(directory, part_set):
    parts = json.loads((directory / "export" / "manifest.json").read_text())["parts"]
    return [part for part in parts if part["set"] == part_set]


def run_recipe(name, directory, monkeypatch, tmp_path):
    """Run a script of the page in a directory; return what it has defined."""
    script = tmp_path / "script.py"
    script.write_text(recipe(name))
    monkeypatch.chdir(directory)
    return runpy.run_path(str(script))


def assert_loaded(database):
    """Assert that a DuckDB database holds what the API sent, counts and sums as well as rows."""
    for part_set in SETS:
        columns = COLUMNS[part_set]
        found = database.execute(f"SELECT {', '.join(columns)} FROM {part_set}").fetchall()  # noqa: S608
        rows = [dict(zip(columns, row, strict=True)) for row in found]
        assert facts_of(part_set, rows) == EXPECTED[part_set]
    ((scores, offsets),) = database.execute(
        "SELECT sum(score), sum(min_score_offset) + sum(max_score_offset) FROM scores"
    ).fetchall()
    place = COLUMNS["scores"].index
    sent = EXPECTED["scores"]
    assert scores == pytest.approx(math.fsum(row[place("score")] for row in sent))
    assert offsets == pytest.approx(
        math.fsum(
            row[place(name)] for row in sent for name in ("min_score_offset", "max_score_offset")
        )
    )


@pytest.mark.promise(
    "Nights that differ: no segments, whole or fractional offsets, unknown fields whose type or"
    " case changes, only 404s, null and []",
    "all load into the same declared tables of DuckDB, Polars and pyarrow, and no value changes",
)
def test_each_night_loads_into_the_same_tables_of_duckdb_by_name(
    duckdb, nights, monkeypatch, tmp_path
):
    for directory in nights:
        (directory / "warehouse.duckdb").unlink(missing_ok=True)
        (directory / "warehouse.duckdb").symlink_to(tmp_path / "warehouse.duckdb")
        for _ in range(2):  # a load that is repeated adds nothing
            run_recipe("duckdb_load.py", directory, monkeypatch, tmp_path)
    with duckdb.connect(str(tmp_path / "warehouse.duckdb")) as database:
        assert_loaded(database)


@pytest.mark.parametrize("how", ["by position", "inferred, by position", "inferred, by name"])
def test_each_night_loads_into_the_tables_of_duckdb_by_other_ways(duckdb, nights, how):
    with duckdb.connect() as database:
        database.execute((nights[0] / "tables.sql").read_text())
        for directory in nights:
            for part_set in SETS:
                load_otherwise(database, directory, part_set, how)
        assert_loaded(database)


def load_otherwise(database, directory, part_set, how):
    columns = f"SELECT name, type FROM pragma_table_info('{part_set}')"  # noqa: S608
    declared = dict(database.execute(columns).fetchall())
    for part in parts_of(directory, part_set):
        file = directory / "export" / part["file"]
        if how == "by position":
            source = f"read_json('{file}', format='newline_delimited', columns={declared})"
        elif part["records"]:
            source = f"read_json_auto('{file}')"
        else:
            continue  # there is nothing that columns could be inferred from
        by = "BY NAME" if how.endswith("name") else ""
        database.execute(f"INSERT INTO {part_set} {by} SELECT * FROM {source}")  # noqa: S608


def test_a_real_export_loads_by_what_the_page_says_alone(
    duckdb, simulated, guids, monkeypatch, tmp_path
):
    (tmp_path / "ids.txt").write_text("\n".join(guids(30)))
    (declare,) = re.findall(r"```sh\n(cxai schema .*?)```", PAGE.read_text(), re.DOTALL)
    with simulated(missing=0.1) as api:
        run = cxai(
            "run", "ids.txt", "-o", "export", "--shape", "tables", "--compression", "zstd",
            "--rate", "1000", "--base-url", api.base_url, cwd=tmp_path,
        )  # fmt: skip
    assert run.code == 0, run.err
    on_path = environment(PATH=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    subprocess.run(["sh", "-e", "-c", declare], cwd=tmp_path, env=on_path, check=True)  # noqa: S607
    for name in ("duckdb_load.py", "polars_load.py", "pyarrow_load.py"):
        run_recipe(name, tmp_path, monkeypatch, tmp_path)
    manifest = json.loads((tmp_path / "export" / "manifest.json").read_text())
    with duckdb.connect(str(tmp_path / "warehouse.duckdb")) as database:
        for part in manifest["parts"]:
            counted = f"SELECT count(*), any_value(run_id) FROM {part['set']}"  # noqa: S608
            assert database.execute(counted).fetchall() == [(part["records"], part["run_id"])]
        (found,) = database.execute("SELECT count(*) FROM interactions").fetchone()
    assert found == manifest["verdicts"]["ok"] > 20


@EVERY_SET
def test_each_night_loads_into_the_same_table_of_polars(
    polars, nights, part_set, monkeypatch, tmp_path
):
    frames = []
    for directory in nights:
        load = run_recipe("polars_load.py", directory, monkeypatch, tmp_path)["load"]
        frames.append(load(Path("export"), part_set))
    table = polars.concat(frames)  # which refuses another schema
    assert facts_of(part_set, table.to_dicts()) == EXPECTED[part_set]


@EVERY_SET
def test_each_night_loads_into_the_same_table_of_pyarrow(
    pyarrow, nights, part_set, monkeypatch, tmp_path
):
    tables = []
    for directory in nights:
        load = run_recipe("pyarrow_load.py", directory, monkeypatch, tmp_path)["load"]
        tables.append(load(Path("export"), part_set))
    table = pyarrow.concat_tables(tables)  # which refuses another schema
    assert facts_of(part_set, table.to_pylist()) == EXPECTED[part_set]


@EVERY_SET
def test_every_line_has_the_declared_columns_in_their_order(duckdb, nights, part_set):
    declared = list(json_schema(Shape.TABLES)[part_set]["properties"])
    for directory in nights:
        for part in parts_of(directory, part_set):
            file = directory / "export" / part["file"]
            lines = duckdb.sql(f"SELECT json FROM read_json_objects('{file}')").fetchall()  # noqa: S608
            assert len(lines) == part["records"]
            for (line,) in lines:
                assert list(json.loads(line)) == declared


def test_nested_records_load_into_their_declared_table_of_duckdb(duckdb, tmp_path):
    (records, failures) = tables_of(Shape.NESTED)
    with duckdb.connect() as database:
        for table in (records, failures):
            database.execute(ddl(table, Dialect.DUCKDB))
        for number, night in enumerate(NIGHTS):
            run_night(tmp_path / str(number), night, Shape.NESTED)
            for name in PART_SETS[Shape.NESTED]:
                files = f"{tmp_path}/{number}/{name}-*.jsonl"
                database.execute(f"COPY {name} FROM '{files}' (FORMAT json, ARRAY false)")
        found = database.execute("SELECT * FROM records").fetchall()
        columns = [column.name for column in records.columns]
        loaded = {row[0]: dict(zip(columns, row, strict=True)) for row in found}
        ((listed,),) = database.execute("SELECT count(*) FROM failures").fetchall()
    written = {
        row["interaction_id"]: row
        for path in tmp_path.glob("*/records-*.jsonl")
        for row in map(json.loads, path.read_text().splitlines())
    }
    assert listed == len(EXPECTED["failures"])
    assert loaded.keys() == written.keys() == {row[0] for row in EXPECTED["interactions"]}
    for one, row in written.items():
        del row["retrieved_at"], loaded[one]["retrieved_at"]
        assert without_nulls(loaded[one]) == without_nulls(row)


def without_nulls(value):
    """Return a value without the keys that are null, and with the JSON under `extra` parsed."""
    if isinstance(value, dict):
        return {
            key: json.loads(each)
            if key == "extra" and isinstance(each, str)
            else each
            if key == "extra"
            else without_nulls(each)
            for key, each in value.items()
            if each is not None
        }
    return [without_nulls(each) for each in value] if isinstance(value, list) else value


# --- declarations ---


def declared_by(*arguments):
    """Return what `cxai schema` prints, run in this process; it raises what it refuses."""
    ended = CliRunner().invoke(
        app, ["schema", *map(str, arguments)], catch_exceptions=False, standalone_mode=False
    )
    assert ended.exit_code == 0
    return ended.output


@pytest.mark.parametrize("dialect", list(Dialect))
@pytest.mark.parametrize("shape", list(Shape))
def test_the_command_declares_all_sets_of_a_shape(dialect, shape):
    said = declared_by("--ddl", dialect, "--shape", shape)
    assert re.findall(r"CREATE TABLE IF NOT EXISTS (\w+) \(", said) == list(PART_SETS[shape])
    schemas = json_schema(shape)
    for name, body in re.findall(r"EXISTS (\w+) \((.*?)\n\);", said, re.DOTALL):
        declared = re.findall(r"^    (\w+) ", body, re.MULTILINE)
        assert declared == list(schemas[name]["properties"])
    statements = re.sub("--.*", "", said)
    for begin, end in ("()", "<>", "[]"):
        assert statements.count(begin) == statements.count(end)
    assert said.count(";") == len(PART_SETS[shape])  # some clients split at any semicolon


def test_the_command_declares_one_set_of_either_shape():
    assert "CREATE TABLE IF NOT EXISTS records (" in declared_by("records", "--ddl", "spark")
    assert declared_by("scores", "--ddl", "duckdb").count("CREATE TABLE") == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--ddl", "oracle"], ["oracle", "duckdb, postgres, bigquery, snowflake, redshift, spark"]),
        (["--ddl", "duckdb", "--shape", "wide"], ["wide", "nested, tables"]),
        (["--ddl", "duckdb", "cubes"], ["cubes", "records, interactions, scores"]),
        (["--ddl", "duckdb", "--shape", "tables", "records"], ["'records'", "interactions"]),
        (["--shape", "tables"], ["--ddl"]),
        (["--markdown", "--ddl", "duckdb"], ["--ddl", "--markdown"]),
    ],
)
def test_what_it_can_not_declare_is_refused_with_what_it_can(arguments, words):
    with pytest.raises((UsageError, click.UsageError)) as refused:
        declared_by(*arguments)
    for word in words:
        assert word in str(refused.value)


RESERVED = """
all analyse analyze and any array as asc asymmetric at authorization between both by case cast
check cluster collate column constraint contains create cross cube current current_date
current_time current_timestamp current_user default deferrable define desc distinct do drop else
end enum escape except exclude exists explode extract false fetch following for foreign from full
grant group grouping groups hash having if ignore in increment initially inner insert intersect
interval into is issue join lateral leading left like limit localtime localtimestamp lookup merge
minus natural new no not null nulls of off offline offset old on only or order outer over overlaps
partition percent placing preceding primary proto qualify range recursive references regexp
respect right rlike rollup row rows sample select session_user set snapshot some start symmetric
table tablesample tag then to top trailing treat trigger true unbounded union unique unnest
unpivot update user using values view when whenever where window with within without
"""


@pytest.mark.parametrize("shape", list(Shape))
def test_no_name_is_reserved_in_any_of_the_dialects(shape):
    names = {
        name
        for table in tables_of(shape)
        for name in (table.name, *(column.name for column in table.columns))
    }
    assert names.isdisjoint(RESERVED.split())
    assert all(name == name.lower() for name in names)
