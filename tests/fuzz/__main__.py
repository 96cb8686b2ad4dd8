"""`make fuzz`: run this folder's tests with more examples, for longer than CI has time.

Unknown options go to pytest: `-k word`, `-x`, or anything after `--`.
"""

import argparse
import os
import sys
from pathlib import Path

import pytest

_MAX_TEST_SECONDS = 3600
"""Where Cloudflare fails, each request is retried for as long as a person may wait."""


def main() -> int:
    """Run the tests; return pytest's exit status."""
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__, allow_abbrev=False)
    parser.add_argument("--examples", type=int, default=2_000, help="of each kind")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--database", choices=("sqlite", "postgresql"), help="only this one of the two")
    arguments, others = parser.parse_known_args()
    os.environ |= {"FUZZ_EXAMPLES": str(arguments.examples), "FUZZ_SEED": str(arguments.seed)}
    os.environ |= {"FUZZ_DATABASE": arguments.database or ""}
    others = [each for each in others if each != "--"]
    return int(
        pytest.main(["-q", "-o", f"faulthandler_timeout={_MAX_TEST_SECONDS}", str(Path(__file__).parent), *others])
    )


if __name__ == "__main__":
    sys.exit(main())
