"""The API as a server on this machine, with limits and faults: for demos, trials and tests.

What an ID gets depends on the scenario's seed and the ID alone, so that a client can be checked
against `fate` and `expected_result`.
"""

from worker.simulator.fate import Fate, expected_result, fate
from worker.simulator.fault import Fault
from worker.simulator.scenario import Kind, Scenario
from worker.simulator.server import Simulator
from worker.simulator.traffic import Stats

__all__ = ["Fate", "Fault", "Kind", "Scenario", "Simulator", "Stats", "expected_result", "fate"]
