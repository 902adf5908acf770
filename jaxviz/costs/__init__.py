"""What a technique costs: its compiled program, what is in it, and how fast it runs."""

from jaxviz.costs.benchmarking import bench
from jaxviz.costs.ceilings import ceiling
from jaxviz.costs.growing import growth
from jaxviz.costs.machines import machine
from jaxviz.costs.programs import TECHNIQUES, Program, program
from jaxviz.costs.starting import startup
from jaxviz.costs.waiting import gaps

__all__ = ["TECHNIQUES", "Program", "bench", "ceiling", "gaps", "growth", "machine", "program", "startup"]
