"""`python -m simulator`: run one simulated engine until it is told to stop."""

import sys

from simulator.cli import main

if __name__ == "__main__":
    sys.exit(main())
