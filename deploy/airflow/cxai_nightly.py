"""An Airflow DAG: enqueue the IDs of the day, export them, verify the export, load it.

For Airflow 3 (2.x: import `dag` and `task` from airflow.decorators). Install `cxai-worker[cluster]`
on the workers of Airflow, or run the same four commands with KubernetesPodOperator. The token and
the password of the database are in files that CXAI_TOKEN_FILE and CXAI_POSTGRES_PASSWORD_FILE name,
and in no connection, variable or log of Airflow.

One export per day, so that each has an end and is loaded completely. `cxai cluster init` may be
repeated, also at the same time. All days share the limits of the account.
"""

import os
import subprocess
from datetime import UTC, datetime, timedelta

from airflow.exceptions import AirflowException, AirflowFailException
from airflow.sdk import dag, task

ENGINE = "postgres://cxai@db.internal/cxai"
FILES = {
    "CXAI_TOKEN_FILE": "/etc/cxai/api-token",
    "CXAI_POSTGRES_PASSWORD_FILE": "/etc/cxai/postgres-password",
}

FINISHED, STOPPED = 0, 4


def cxai(*arguments: str) -> None:
    """Run a command; a failure that a retry can't fix fails without Airflow's retries."""
    done = subprocess.run(["cxai", *arguments], env={**os.environ, **FILES}, check=False)
    if done.returncode == FINISHED:
        return
    failure = f"cxai {arguments[0]} ended with exit code {done.returncode}: see the log above"
    if done.returncode == STOPPED:
        raise AirflowException(failure)  # stopped early: a retry resumes
    raise AirflowFailException(failure)


@dag(
    schedule="15 1 * * *",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    default_args={"retries": 12, "retry_delay": timedelta(minutes=10)},
)
def cxai_nightly() -> None:
    """Export the interactions of a day."""

    @task
    def init(day: str) -> None:
        cxai(
            "cluster", "init", ENGINE, "--export", f"day_{day}", "--rate", "5", "--in-flight", "10",
            "--shape", "tables", "--compression", "zstd", "-o", f"s3://bucket/prefix/{day}",
        )  # fmt: skip

    @task
    def enqueue(day: str) -> None:
        ids = f"/srv/ids/{day}.csv"  # your file: complete before this starts
        cxai("enqueue", ids, "--column", "interaction_id", "--to", f"{ENGINE}#day_{day}", "--last")

    @task
    def run(day: str) -> None:
        cxai("run", f"{ENGINE}#day_{day}", "--until-settled")

    @task
    def verify(day: str) -> None:
        cxai("verify", f"{ENGINE}#day_{day}")

    @task
    def load(day: str) -> None:
        """Yours: docs/how-to/loading.md has recipes for what manifest.json lists."""

    day = "{{ ds_nodash }}"
    init(day) >> enqueue(day) >> run(day) >> verify(day) >> load(day)


cxai_nightly()
