"""The API as a server on this machine, with limits and faults: for demos, trials and tests.

What an ID gets depends on the scenario's seed and the ID alone, so that a client can be checked
against `fate` and `expected_result`.
"""

from cxai.simulator.fate import Fate, expected_result, fate
from cxai.simulator.fault import Fault
from cxai.simulator.scenario import Kind, Scenario
from cxai.simulator.server import Simulator
from cxai.simulator.traffic import Stats

__all__ = ["Fate", "Fault", "Kind", "Scenario", "Simulator", "Stats", "expected_result", "fate"]
