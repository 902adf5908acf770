"""What a technique costs: its compiled program, what is in it, and how fast it runs."""

from jaxviz.costs.programs import TECHNIQUES, Program, program

__all__ = ["TECHNIQUES", "Program", "program"]
