"""`make fuzz`: the tests of this folder with more examples, for longer than CI has time.

What this does not know goes to pytest: `-k word`, `-x`, or anything after `--`.
"""

import argparse
import os
import sys
from pathlib import Path

import pytest

_LONGEST = 3600
"""Seconds for a test: where Cloudflare fails, each question is asked again for as long as one may wait."""


def main() -> int:
    """Run them; pytest's exit status."""
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__, allow_abbrev=False)
    parser.add_argument("--examples", type=int, default=2_000, help="of each kind")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--database", choices=("sqlite", "postgresql"), help="only this one, of the two")
    given, others = parser.parse_known_args()
    os.environ |= {"FUZZ_EXAMPLES": str(given.examples), "FUZZ_SEED": str(given.seed)}
    os.environ |= {"FUZZ_DATABASE": given.database or ""}
    others = [each for each in others if each != "--"]
    return int(pytest.main(["-q", "-o", f"faulthandler_timeout={_LONGEST}", str(Path(__file__).parent), *others]))


if __name__ == "__main__":
    sys.exit(main())
