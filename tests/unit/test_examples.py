"""The examples of deployment: what they start is what the command, its settings and image offer."""

import ast
import re
from pathlib import Path

import pytest
import yaml

from cxai.cli.main import app
from cxai.errors import ExitCode
from cxai.settings import Settings

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
COMPOSE = DEPLOY / "compose.yaml"
KUBERNETES = sorted((DEPLOY / "kubernetes").glob("*.yaml"))
DAG = DEPLOY / "airflow" / "cxai_nightly.py"
DOCKERFILE = (ROOT / "Dockerfile").read_text()
PAGES = [ROOT / "docs" / "cluster.md", *sorted((ROOT / "docs" / "how-to").glob("*.md"))]

NO_SETTINGS = {"CXAI_API_TOKEN", "CXAI_POSTGRES_PASSWORD_FILE", "CXAI_REDIS_PASSWORD"}
"""What has another reader than settings.py, which says so itself."""


def documents(path):
    return [one for one in yaml.safe_load_all(path.read_text()) if one]


def dictionaries(value):
    """Yield every dictionary in a document, however deep."""
    match value:
        case dict():
            yield value
            for one in value.values():
                yield from dictionaries(one)
        case list():
            for one in value:
                yield from dictionaries(one)


def in_kubernetes():
    return [one for path in KUBERNETES for one in dictionaries(documents(path))]


def containers():
    """Return every container of ours."""
    return [
        one for one in in_kubernetes() if "cxai-worker:" in str(one.get("image")) and "args" in one
    ]


def pods():
    """Return every pod's specification."""
    return [one for one in in_kubernetes() if "containers" in one]


def services():
    services = documents(COMPOSE)[0]["services"]
    return {name: one for name, one in services.items() if one["image"] == "cxai-worker"}


def in_dag():
    """Yield the arguments of each `cxai(…)` in the DAG, with any text for what it computes."""
    for node in ast.walk(ast.parse(DAG.read_text())):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "cxai":
            yield [_text(argument) for argument in node.args]


def _text(node):
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.Name(id="ENGINE"):
            return "postgres://cxai@db.internal/cxai"
        case ast.JoinedStr(values=parts):
            return "".join(map(_text, parts))
        case ast.FormattedValue(value=value):
            return _text(value)
        case ast.Name():
            return "20261126"
    raise AssertionError(ast.dump(node))


def in_pages():
    """Yield the arguments of each command in the blocks of the pages."""
    for page in PAGES:
        for block in re.findall(r"```sh\n(.*?)```", page.read_text(), flags=re.DOTALL):
            for line in block.replace("\\\n", " ").splitlines():
                for command in re.split(r" && |; |\$\(", line.split("  #")[0]):
                    if command.startswith("cxai "):
                        words = re.split(r"\s[|>]", command)[0].split()[1:]
                        yield [word.strip("'\"") for word in words]


def commands():
    yield from (pytest.param(one["args"], id=" ".join(one["args"][:2])) for one in containers())
    yield from (
        pytest.param(one["command"], id=f"compose {name}") for name, one in services().items()
    )
    yield from (pytest.param(arguments, id=f"airflow {arguments[0]}") for arguments in in_dag())
    yield from (pytest.param(arguments, id=" ".join(arguments[:3])) for arguments in in_pages())


@pytest.mark.parametrize("arguments", list(commands()))
def test_each_command_line_is_one_that_the_command_takes(arguments):
    command, name, left = app, "cxai", arguments
    while hasattr(command, "commands"):
        name, *left = left
        command = command.commands[name]
    command.make_context(name, list(left))  # raises what it would refuse


def variables():
    for container in containers():
        yield from (one["name"] for one in container.get("env", ()))
    for service in services().values():
        yield from service["environment"]
    yield from re.findall(r'"(CXAI_\w+)"', DAG.read_text())
    for page in PAGES:
        yield from re.findall(r"\bCXAI_\w+", page.read_text())


@pytest.mark.parametrize("name", sorted(set(variables())))
def test_each_variable_is_a_setting(name):
    assert name in NO_SETTINGS or Settings.current_name(name.removeprefix("CXAI_").lower())


def test_no_secret_stands_in_an_example():
    for path in (COMPOSE, *KUBERNETES, DAG):
        text = path.read_text()
        assert not re.search(r"(TOKEN|PASSWORD)\b(?!_FILE)['\"]?\s*[:=]\s*\S", text), path
        assert not re.search(r"://[^/\s@]*:[^/\s@]*@", text), path


def test_a_job_is_tried_again_only_where_that_can_help():
    policies = [
        one["podFailurePolicy"]["rules"] for one in in_kubernetes() if "podFailurePolicy" in one
    ]
    assert len(policies) == 3
    for rules in policies:
        codes = {
            code: rule["action"]
            for rule in rules
            if "onExitCodes" in rule
            for code in rule["onExitCodes"]["values"]
        }
        assert codes == {
            ExitCode.USAGE: "FailJob",
            ExitCode.AUTHENTICATION: "FailJob",
            ExitCode.INTEGRITY: "FailJob",
            ExitCode.STOPPED: "Ignore",
            ExitCode.ABOVE_THRESHOLD: "Count",
        }
        assert {
            "action": "Ignore",
            "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}],
        } in rules


def test_the_dag_knows_the_exit_codes():
    assert f"FINISHED, STOPPED = {ExitCode.FINISHED}, {ExitCode.STOPPED}\n" in DAG.read_text()


def test_each_pod_runs_as_the_user_of_the_image_and_can_change_nothing_else():
    user = int(re.search(r"^USER (\d+)$", DOCKERFILE, flags=re.MULTILINE)[1])
    for pod in pods():
        security = pod["securityContext"]
        assert security["runAsNonRoot"]
        assert security["runAsUser"] == security["runAsGroup"] == security["fsGroup"] == user
        assert pod["enableServiceLinks"] is False
    for container in containers():
        assert container["securityContext"] == {
            "readOnlyRootFilesystem": True,
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
        }
        assert container["resources"]["limits"]["memory"]
    for service in services().values():
        assert service["read_only"]
        assert service["cap_drop"] == ["ALL"]


def test_all_run_the_same_image():
    assert len({container["image"] for container in containers()}) == 1
    assert len(containers()) == len(KUBERNETES)


def test_each_mount_has_its_volume():
    for pod in pods():
        volumes = {one["name"] for one in pod["volumes"]}
        both = pod["containers"] + pod.get("initContainers", [])
        mounted = {mount["name"] for one in both for mount in one["volumeMounts"]}
        assert mounted == volumes


def test_a_worker_has_the_time_for_its_replies_and_a_commit():
    enough_s = 2 * Settings().grace_s
    workers = [pod for pod in pods() if pod["containers"][0]["args"][0] == "run"]
    assert len(workers) == 2
    for pod in workers:
        assert pod["terminationGracePeriodSeconds"] >= enough_s
    assert int(services()["worker"]["stop_grace_period"].removesuffix("s")) >= enough_s


def test_the_scaler_asks_the_export_that_the_workers_work_on():
    scaler = next(one for one in in_kubernetes() if one.get("kind") == "ScaledObject")["spec"]
    metadata = scaler["triggers"][0]["metadata"]
    worker = next(one["args"] for one in containers() if one["args"][0] == "run")
    user, host, database, export = re.fullmatch(
        r"postgres://(.+)@(.+)/(.+)#(.+)", worker[1]
    ).groups()
    assert (metadata["userName"], metadata["host"], metadata["dbName"]) == (user, host, database)
    assert f"cxai_{export}.block" in metadata["query"]
    assert scaler["minReplicaCount"] == 0
    assert scaler["maxReplicaCount"] <= 3


def test_the_dag_is_python():
    compile(DAG.read_text(), DAG, "exec")
