from pydantic import SecretStr
from support.command import TOKEN
from support.doubles import QueueSource

from cxai.app import export
from cxai.core.entry import IdRule
from cxai.settings import load_settings


class Connection(QueueSource):
    """Queue that notes when it is opened, acknowledged to and closed."""

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


async def test_a_source_that_has_to_be_closed_is_closed_after_the_last_acknowledgement(
    simulated, guids, tmp_path
):
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
