"""What a technique costs: its compiled program, what is in it, and how fast it runs."""

from jaxviz.costs.benchmarking import bench
from jaxviz.costs.ceilings import ceiling
from jaxviz.costs.explaining import Explanation, explain
from jaxviz.costs.growing import growth
from jaxviz.costs.lowering import PLATFORMS, lowered
from jaxviz.costs.machines import machine
from jaxviz.costs.programs import TECHNIQUES, Program, program
from jaxviz.costs.starting import startup
from jaxviz.costs.waiting import gaps

__all__ = [
    "PLATFORMS",
    "TECHNIQUES",
    "Explanation",
    "Program",
    "bench",
    "ceiling",
    "explain",
    "gaps",
    "growth",
    "lowered",
    "machine",
    "program",
    "startup",
]
