"""The bot's dependencies: known vulnerabilities (`make audit`) and licenses (`make licenses`)."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import Distribution, distribution
from pathlib import Path

import typer
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]
LOCK = ROOT / "requirements" / "runtime.txt"

# Names in the classifiers and the License field, which are older than License-Expression.
_SPDX = {
    "Apache 2": "Apache-2.0",
    "Apache 2.0": "Apache-2.0",
    "Apache License 2.0": "Apache-2.0",
    "Apache License, Version 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
}
# The third clause, which no other license has.
_THIRD_CLAUSE = re.compile(r"Neither the name of .* nor the names of its\s+contributors", re.DOTALL)
_NOT_AUDITED = "The database of vulnerabilities is unreachable: nothing was audited."
_UNREACHABLE = re.compile(r"ConnectionError|ConnectTimeout|ReadTimeout|Could not connect|Failed to resolve|ProxyError")


@dataclass(frozen=True, slots=True)
class Locked:
    """A package as the lock file pins it."""

    name: str
    version: str
    hashes: int
    """The number of files that it may be."""
    installed_here: bool
    """Otherwise it is for another system or Python."""


def locked(path: Path = LOCK) -> Iterator[Locked]:
    """Yield target a lock file pins. Raises ValueError if a line pins no version."""
    for entry in re.split(r"\n(?=\S)", path.read_text(encoding="utf-8")):
        text = re.sub(r"#.*|\\$", "", entry, flags=re.MULTILINE)
        requirement, *hashes = text.split("--hash=")
        if requirement.strip():
            yield _pinned(Requirement(requirement.strip()), len(hashes))


def _pinned(requirement: Requirement, hashes: int) -> Locked:
    (specifier,) = requirement.specifier
    if specifier.operator != "==":
        raise ValueError(f"{requirement} is not pinned")
    here = requirement.marker is None or requirement.marker.evaluate()
    return Locked(requirement.name, specifier.version, hashes, here)


def license_of(package: Distribution) -> str:
    """Return a package's license, as an SPDX expression where possible; otherwise its own words, or `unknown`."""
    metadata = package.metadata
    if "License-Expression" in metadata:
        return metadata["License-Expression"]
    classifiers = [
        words.rpartition(" :: ")[2] for words in metadata.get_all("Classifier") or [] if words.startswith("License ::")
    ]
    text = "".join(metadata.get_all("License") or []).strip()
    # The field distinguishes the BSD licenses, the classifier does not. Some packages put the whole text in it.
    if _THIRD_CLAUSE.search(text):
        return "BSD-3-Clause"
    field = text.partition("\n")[0]
    words = [field] if not classifiers or field.startswith("BSD-") else classifiers
    return " AND ".join(_SPDX.get(word, word) for word in words) or "unknown"


def licenses() -> list[tuple[str, str, str]]:
    """Return name, version and license of every runtime dependency on this system."""
    packages = [distribution(package.name) for package in locked() if package.installed_here]
    return [(package.name, package.version, license_of(package)) for package in packages]


def audit_result(report: str, log: str) -> tuple[str, int]:
    """Return sentences and the exit status for pip-audit's JSON report and log.

    A package that could not be audited is neither a finding nor clean.
    """
    try:
        packages = json.loads(report)["dependencies"]
    except (ValueError, KeyError, TypeError):
        if _UNREACHABLE.search(log):
            return _NOT_AUDITED, 2
        return f"pip-audit failed:\n{log.strip()}", 2
    skipped = [package["name"] for package in packages if "skip_reason" in package]
    found = [
        f"{package['name']} {package['version']}: {vulnerability['id']},"
        f" fixed in {', '.join(vulnerability['fix_versions']) or 'no version yet'}"
        for package in packages
        for vulnerability in package.get("vulns", [])
    ]
    if found:
        return "\n".join(found), 1
    if len(skipped) == len(packages):
        return _NOT_AUDITED, 2
    audited = f"{len(packages) - len(skipped)} packages have no known vulnerability."
    return f"{audited} Not audited: {', '.join(skipped)}." if skipped else audited, 0


def audit() -> tuple[str, int]:
    """Run pip-audit on the lock file."""
    options = ["--require-hashes", "--disable-pip", "--format=json", "--progress-spinner=off", "--timeout=10"]
    command = [sys.executable, "-m", "pip_audit", f"--requirement={LOCK}", *options]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=300)
    return audit_result(done.stdout, done.stderr)


def main(target: str) -> int:
    """Run one of the two make targets; return the exit status."""
    if target == "audit":
        sentences, status = audit()
        typer.echo(sentences)
        return status
    for name, version, words in licenses():
        typer.echo(f"{name:26} {version:12} {words}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
