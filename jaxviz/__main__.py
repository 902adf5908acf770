"""`python -m jaxviz` is the command line."""

import sys

from jaxviz.cli import main

sys.exit(main())
