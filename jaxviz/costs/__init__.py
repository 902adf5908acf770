"""What a technique costs: its compiled program, what is in it, and how fast it runs."""

from jaxviz.costs.explaining import Explanation, explain
from jaxviz.costs.lowering import PLATFORMS, lowered
from jaxviz.costs.programs import TECHNIQUES, Program, program

__all__ = ["PLATFORMS", "TECHNIQUES", "Explanation", "Program", "explain", "lowered", "program"]
