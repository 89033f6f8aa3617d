"""`python -m lagrangian_ml` is the command `lagrangian-ml`."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
