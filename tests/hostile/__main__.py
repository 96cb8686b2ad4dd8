"""`make fuzz`: the tests of this folder with more examples, for longer than CI has time."""

import argparse
import os
import sys
from pathlib import Path

import pytest

_LONGEST = 3600
"""Seconds for a test: where Cloudflare fails, each question is asked again for as long as one may wait."""


def main() -> int:
    """Run them; pytest's exit status."""
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__)
    parser.add_argument("--examples", type=int, default=2_000, help="of each kind")
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args()
    os.environ |= {"FUZZ_EXAMPLES": str(arguments.examples), "FUZZ_SEED": str(arguments.seed)}
    return int(pytest.main(["-q", f"--timeout={_LONGEST}", str(Path(__file__).parent)]))


if __name__ == "__main__":
    sys.exit(main())
