"""The places of a soak of the cluster: its engine and its object store, and how they fail."""

import os
import shutil
import subprocess
from contextlib import suppress
from random import Random

import psutil
from support.cluster_checker import Bucket, Volume
from support.moto_server import moto_server, new_bucket
from support.postgres import Server, new_home
from support.relay import Fault, Relay
from support.serving import serving

FAULTS = list(Fault)
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_DEFAULT_REGION": "us-east-1",
}


class VolumeStore:
    """A directory; where one can be mounted, a small file system that fills up."""

    def __init__(self, directory, stack):
        self._disk = directory / "disk"
        self._disk.mkdir()
        self._ballast = self._disk / "ballast"
        mounted = _system("mount", "-t", "tmpfs", "-o", "size=256m", "tmpfs", self._disk)
        self._is_mounted = mounted == 0
        self.destination = self._disk / "exports"
        self.environment = {}
        if self._is_mounted:
            stack.callback(self._unmount)

    @property
    def faults(self):
        return "full for a while" if self._is_mounted else "NONE: no file system can be mounted"

    def reader(self, export):
        return Volume(self.destination / export)

    def fail(self):
        """Fill the disk to its last byte."""
        if self._is_mounted:
            with self._ballast.open("wb") as file, suppress(OSError):
                while True:
                    os.write(file.fileno(), bytes(1 << 16))

    def recover(self):
        self._ballast.unlink(missing_ok=True)

    def _unmount(self):
        """Unmount it; what it held is left in a directory beside it."""
        shutil.copytree(self._disk, self._disk.with_name("objects"), dirs_exist_ok=True)
        _system("umount", self._disk)


class S3Store:
    """A bucket behind a relay that refuses, drops and loses requests while it fails."""

    def __init__(self, directory, stack):
        self._endpoint = stack.enter_context(moto_server(directory / "moto"))
        self._bucket = new_bucket(self._endpoint)
        self._share = 0.0
        self._chance = Random(1)
        relay = Relay(int(self._endpoint.rpartition(":")[2]), self._fault)
        port = stack.enter_context(serving(relay)).port
        self.destination = f"s3://{self._bucket}/exports"
        self.environment = {**CREDENTIALS, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}"}
        self.faults = "60 % of the requests refused, cut or their answers lost for a while"

    def _fault(self, _):
        return self._chance.choice(FAULTS) if self._chance.random() < self._share else None

    def reader(self, export):
        os.environ.update(CREDENTIALS)
        return Bucket(self._endpoint, self._bucket, f"exports/{export}")

    def fail(self):
        """Fail most requests."""
        self._share = 0.6

    def recover(self):
        self._share = 0.0


def _system(command, *arguments):
    program = shutil.which(command)
    if program is None:
        return None
    return subprocess.run([program, *arguments], capture_output=True, check=False).returncode


class Engine:
    """A PostgreSQL of this soak's own, behind a relay that counts round trips and can be cut."""

    def __init__(self, stack):
        self.server = Server(new_home())
        self.server.create()
        stack.callback(self.server.let_go)
        self.server.start()
        self.database = self.server.new_database()
        self.relay = stack.enter_context(serving(Relay(self.server.port)))

    def url(self, export):
        return self.database.url(export, port=self.relay.port)

    @property
    def cpu_s(self):
        """The processor time that all of its processes have taken since its start."""
        note = self.server.data / "postmaster.pid"
        postmaster = psutil.Process(int(note.read_text().splitlines()[0]))
        times = postmaster.cpu_times()
        ended = times.children_user + times.children_system
        return ended + sum(map(_cpu_s, [postmaster, *postmaster.children()]))


def _cpu_s(process):
    with suppress(psutil.NoSuchProcess):
        times = process.cpu_times()
        return times.user + times.system
    return 0.0
