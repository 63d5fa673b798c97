"""The API as a server on this machine, with limits and faults: for demos, trials and tests.

What happens to an ID depends on the scenario and the ID alone: a client can be checked against it.
"""

from cxai.simulator.behaviour import behaviour_of, expected_result
from cxai.simulator.faults import Fault
from cxai.simulator.scenario import Kind, Scenario
from cxai.simulator.server import Simulator

__all__ = ["Fault", "Kind", "Scenario", "Simulator", "behaviour_of", "expected_result"]
