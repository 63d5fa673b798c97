"""The ledgers that a contract is tested on."""

import pytest
from support.ledgers import LocalDisk, MemoryDisk


@pytest.fixture(params=["local", "double"])
def disk(request, tmp_path):
    return LocalDisk(tmp_path / "export") if request.param == "local" else MemoryDisk()
