"""Dependencies are pinned, verified by their hashes, under acceptable licenses, and can be audited."""

import json
import re
from email.message import Message
from importlib.metadata import Distribution
from pathlib import Path
from typing import Any, cast

import pytest

from tests.dependencies import LOCK, ROOT, audit_result, license_of, licenses, locked

# Each may be used in, and shipped with, a program under the MIT license. MPL-2.0 only requires publishing changed files
# of that package.
ALLOWED = {"Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT", "MIT-0", "MPL-2.0", "PSF-2.0", "Unlicense"}


def licenses_in(expression: str) -> set[str]:
    return set(re.split(r"\s+(?:AND|OR)\s+|[()]", expression)) - {""}


@pytest.mark.parametrize(("name", "version", "words"), licenses())
def test_each_runtime_dependency_has_an_allowed_license(name: str, version: str, words: str) -> None:
    assert licenses_in(words) <= ALLOWED, f"{name} {version}: {words}"


@pytest.mark.parametrize("path", ["runtime.txt", "dev.txt", "build.txt"])
def test_each_package_is_pinned_with_hashes(path: str) -> None:
    packages = list(locked(LOCK.parent / path))

    assert packages
    assert [package.name for package in packages if not package.hashes] == []
    assert len({package.name for package in packages}) == len(packages)


def test_lower_bound_is_not_a_pin(tmp_path: Path) -> None:
    path = tmp_path / "requirements.txt"
    path.write_text("# made by hand\nstarlette>=1.0 \\\n    --hash=sha256:00\n")

    with pytest.raises(ValueError, match="not pinned"):
        list(locked(path))


def test_every_installation_from_a_lock_file_requires_hashes() -> None:
    text = "".join((ROOT / path).read_text(encoding="utf-8") for path in ("Makefile", "Dockerfile"))
    text = text.replace("$(INSTALL_LOCKED)", *re.findall(r"INSTALL_LOCKED = (.*)", text))
    installing = [line for line in text.splitlines() if re.search(r"install\b.*-r requirements", line)]

    assert len(installing) == 4
    # Without dependencies: pips before 23.3 refuse what a package asks for with an extra.
    assert all("--require-hashes --no-deps" in line for line in installing)


class Package:
    def __init__(self, **headers: str | list[str]) -> None:
        self.metadata = Message()
        for name, values in headers.items():
            for value in [values] if isinstance(values, str) else values:
                self.metadata[name.replace("_", "-")] = value


@pytest.mark.parametrize(
    ("package", "expected"),
    [
        (Package(License_Expression="MIT OR Apache-2.0", License="other"), "MIT OR Apache-2.0"),
        (Package(Classifier=["Topic :: Chat", "License :: OSI Approved :: MIT License"]), "MIT"),
        (Package(License="BSD-2-Clause", Classifier=["License :: OSI Approved :: BSD License"]), "BSD-2-Clause"),
        (Package(License="Copyright A.\nNeither the name of A nor the names of its contributors"), "BSD-3-Clause"),
        (Package(License="Apache 2.0\n\n  1. Definitions"), "Apache-2.0"),
        (Package(Classifier=["License :: OSI Approved :: GNU Affero GPL"]), "GNU Affero GPL"),
        (Package(), "unknown"),
    ],
)
def test_license_is_found_in_every_metadata_field(package: Package, expected: str) -> None:
    assert license_of(cast("Distribution", package)) == expected


SKIPPED = {"name": "b", "skip_reason": "not found"}
CLEAN = {"name": "a", "version": "1", "vulns": []}
VULNERABLE = {"name": "c", "version": "2", "vulns": [{"id": "CVE-1", "fix_versions": ["3"]}]}


@pytest.mark.parametrize(
    ("packages", "sentences", "status"),
    [
        ([CLEAN], "1 packages have no known vulnerability.", 0),
        ([CLEAN, SKIPPED], "1 packages have no known vulnerability. Not audited: b.", 0),
        ([CLEAN, VULNERABLE, SKIPPED], "c 2: CVE-1, fixed in 3", 1),
        ([SKIPPED], "The database of vulnerabilities is unreachable: nothing was audited.", 2),
    ],
)
def test_audit_fails_on_findings_and_when_nothing_was_audited(packages: list[Any], sentences: str, status: int) -> None:
    assert audit_result(json.dumps({"dependencies": packages, "fixes": []}), "") == (sentences, status)


@pytest.mark.parametrize(
    ("log", "sentences", "status"),
    [
        ("requests.exceptions.ConnectionError: no route", "is unreachable", 2),
        ("ERROR:pip_audit._cli: invalid requirements file", "invalid requirements file", 2),
    ],
)
def test_audit_without_a_report_is_a_failure(log: str, sentences: str, status: int) -> None:
    text, code = audit_result("", log)

    assert sentences in text
    assert code == status
