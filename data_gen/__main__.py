"""`python -m data_gen dataset=… num_samples=… --out DIR`: the same as `lagrangian-ml generate`."""

import sys

from lagrangian_ml.cli import main

COMMANDS = ("generate", "verify", "info", "export")

if __name__ == "__main__":
    words = sys.argv[1:]
    sys.exit(main(words if words and words[0] in COMMANDS else ["generate", *words]))
