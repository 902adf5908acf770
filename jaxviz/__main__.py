"""`python -m jaxviz` is the command line."""

import sys

from jaxviz.cli import process

sys.exit(process())
