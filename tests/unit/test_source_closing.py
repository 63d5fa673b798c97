import pytest
from support.command import TOKEN
from support.doubles import QueueSource
from support.garbage import leave_out_again

from cxai.app import export
from cxai.cli.process import export_as_command
from cxai.core.entry import IdRule
from cxai.core.secret_str import SecretStr
from cxai.errors import InputBrokenError, UsageError
from cxai.settings import load_settings


class Connection(QueueSource):
    """Queue that records when it is opened, acknowledged and closed."""

    def __init__(self, messages):
        super().__init__(messages)
        self.events = []

    async def __aenter__(self):
        self.events.append("opened")
        return self

    async def __aexit__(self, *exc):
        self.events.append("closed")

    async def acknowledge(self, entries):
        await super().acknowledge(entries)
        self.events.append("acknowledged")


async def test_a_source_is_closed_after_the_last_acknowledgement(simulated, guids, tmp_path):
    queue = [IdRule().read(one.encode(), "queue", line) for line, one in enumerate(guids(3), 1)]
    source = Connection(queue)
    with simulated() as api:
        settings = load_settings({"base_url": api.base_url, "rate": 1_000, "progress": "none"})
        report = await export(settings, source, tmp_path / "export", SecretStr(TOKEN))
    assert report.exit_code == 0
    assert queue == []
    assert source.events[0] == "opened"
    assert set(source.events[1:-1]) == {"acknowledged"}
    assert source.events[-1] == "closed"


class Unclosable(Connection):
    """Queue whose connection can't be closed, or whose closing suppresses exceptions."""

    def __init__(self, messages, closing):
        super().__init__(messages)
        self._closing = closing

    async def __aexit__(self, *exc):
        await super().__aexit__(*exc)
        if isinstance(self._closing, Exception):
            raise self._closing
        return self._closing


@pytest.mark.parametrize(
    "closing",
    [ConnectionError(f"reset, {TOKEN}"), InputBrokenError("It is gone."), TimeoutError(), True],
)
async def test_a_failure_to_close_a_source_does_not_change_how_the_run_ended(
    simulated, guids, tmp_path, capsys, closing
):
    queue = [IdRule().read(one.encode(), "queue", line) for line, one in enumerate(guids(3), 1)]
    with simulated() as api:
        settings = load_settings({"base_url": api.base_url, "rate": 1_000, "progress": "none"})
        source = Unclosable(queue, closing)
        report = await export_as_command(settings, source, tmp_path / "export", SecretStr(TOKEN))
    leave_out_again()
    assert (report.exit_code, queue, source.events[-1]) == (0, [], "closed")
    log = capsys.readouterr().err
    assert ("source_not_closed" in log) == (closing is not True)
    assert "event=run_finished exit_code=0" in log.splitlines()[-1]
    assert TOKEN not in log


async def test_closing_a_source_does_not_hide_an_error_of_the_run(tmp_path):
    (tmp_path / "export").write_text("no directory")
    settings = load_settings({"progress": "none"})
    for closing in (True, ConnectionError()):
        source = Unclosable([], closing)
        with pytest.raises(UsageError, match="export"):
            await export(settings, source, tmp_path / "export", SecretStr(TOKEN))
        assert source.events == ["opened", "closed"]
