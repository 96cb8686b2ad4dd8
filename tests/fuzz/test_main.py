"""`make fuzz` runs."""

import asyncio
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


async def test_fuzzing_runs_with_its_own_and_pytests_options() -> None:
    arguments = [
        "-m",
        "tests.fuzz",
        "--examples",
        "2",
        "--seed",
        "8",
        "--database",
        "sqlite",
        "-x",
        "--",
        "-k",
        "test_any_wrong_signature_header",
    ]
    process = await asyncio.create_subprocess_exec(
        sys.executable, *arguments, cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await process.communicate()

    assert process.returncode == 0, output.decode()
    assert b"1 passed" in output
