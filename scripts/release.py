"""Make a release in this clone: set the version, close the changelog's section, build, commit and tag.

`make release VERSION=1.2.3` runs this script. It needs no network, and pushes nothing.
"""

import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import typer

ROOT = Path(__file__).resolve().parents[1]
BRANCH = "main"
CHANGELOG = "CHANGELOG.md"
VERSION_FILE = "bot/__init__.py"
NAMES_VERSION = {
    VERSION_FILE: ('__version__ = "',),
    "docs/production.md": ("livestream-bot:", "newTag: "),
    "manifests/kubernetes/deployment.yaml": ("livestream-bot:",),
}
"""The files that name the current version, each with what stands before it."""

_NUMBER = r"(?:0|[1-9]\d*)"
_VERSION = rf"{_NUMBER}\.{_NUMBER}\.{_NUMBER}"
_UNRELEASED = re.compile(r"^## \[Unreleased\][ \t]*\n(?P<body>.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
_RELEASED = re.compile(rf"^## \[({_VERSION})\]", re.MULTILINE)


class ReleaseError(Exception):
    """The release was not made; the message says why."""


@dataclass(frozen=True, slots=True)
class Release:
    """What was made: the tag, and the files to publish."""

    tag: str
    files: tuple[Path, ...]


def release(root: Path, version: str, today: date) -> Release:
    """Make the release on the current branch. Raises ReleaseError, and then leaves the files as they were."""
    if found := list(problems(root, version)):
        raise ReleaseError("\n".join(found))
    before = {name: (root / name).read_text(encoding="utf-8") for name in (*NAMES_VERSION, CHANGELOG)}
    after = _with_version(before, version) | {CHANGELOG: close_unreleased(before[CHANGELOG], version, today)}
    try:
        _write(root, after)
        files = build(root, version)
        _run(root, "git", "commit", "--quiet", "--message", f"Release {version}", "--", *after)
    except BaseException:
        _write(root, before)
        raise
    _run(root, "git", "tag", "--annotate", "--message", f"Release {version}", f"v{version}")
    return Release(f"v{version}", files)


def problems(root: Path, version: str) -> Iterator[str]:
    """Yield a sentence for each reason not to release this version now."""
    if not re.fullmatch(_VERSION, version):
        yield f"Give a version such as 1.2.3, not “{version}”: make release VERSION=1.2.3"
    else:
        yield from _not_newer(root, version)
    if _run(root, "git", "status", "--porcelain"):
        yield "There are uncommitted changes or untracked files: commit or remove them."
    if (branch := _run(root, "git", "branch", "--show-current")) != BRANCH:
        yield f"Releases are made on {BRANCH}, and this is {branch or 'a detached HEAD'}."
    section = _UNRELEASED.search((root / CHANGELOG).read_text(encoding="utf-8"))
    if section is None:
        yield f"{CHANGELOG} has no section “## [Unreleased]”."
    elif not re.search(r"^(?!#|\[[^\]]+\]:)\S", section["body"], re.MULTILINE):
        yield f"The section “Unreleased” of {CHANGELOG} is empty."
    for name, prefixes in NAMES_VERSION.items():
        if not _place(prefixes).search((root / name).read_text(encoding="utf-8")):
            yield f"{name} doesn't name the current version."


def _not_newer(root: Path, version: str) -> Iterator[str]:
    released = [*_RELEASED.findall((root / CHANGELOG).read_text(encoding="utf-8"))]
    released += [tag[1:] for tag in _run(root, "git", "tag").split() if re.fullmatch(f"v{_VERSION}", tag)]
    last = max(released, key=_numbers, default=None)
    if last and _numbers(version) <= _numbers(last):
        yield f"{version} is not newer than {last}, the last release."
    current = re.search(_VERSION, (root / VERSION_FILE).read_text(encoding="utf-8"))
    if current and _numbers(version) < _numbers(current[0]):
        yield f"{version} is older than {current[0]}, the version in {VERSION_FILE}."


def close_unreleased(changelog: str, version: str, today: date) -> str:
    """Return the changelog with its section “Unreleased” as this version's, and an empty one above."""
    return re.sub(
        r"^## \[Unreleased\][ \t]*$",
        f"## [Unreleased]\n\n## [{version}] - {today.isoformat()}",
        changelog,
        count=1,
        flags=re.MULTILINE,
    )


def build(root: Path, version: str) -> tuple[Path, ...]:
    """Build the wheel and the sdist into `dist/` with the hatchling that is installed, and return their paths."""
    files = tuple(root / "dist" / f"livestream_bot-{version}{end}" for end in ("-py3-none-any.whl", ".tar.gz"))
    for file in files:
        file.unlink(missing_ok=True)
    _run(root, sys.executable, "-m", "hatchling", "build", "--directory", "dist")
    for file in files:
        if not file.exists():
            raise ReleaseError(f"hatchling didn't build {file.relative_to(root)}.")
    return files


def _with_version(texts: dict[str, str], version: str) -> dict[str, str]:
    return {name: _place(prefixes).sub(version, texts[name]) for name, prefixes in NAMES_VERSION.items()}


def _place(prefixes: tuple[str, ...]) -> re.Pattern[str]:
    behind = "|".join(f"(?<={re.escape(prefix)})" for prefix in prefixes)
    return re.compile(f"(?:{behind}){_VERSION}")


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def _write(root: Path, texts: dict[str, str]) -> None:
    for name, text in texts.items():
        (root / name).write_text(text, encoding="utf-8")


def _run(root: Path, *command: str) -> str:
    """Run a command and return its output. Raises ReleaseError with the command's own words if it fails."""
    done = subprocess.run(command, cwd=root, check=False, capture_output=True, text=True)
    if done.returncode:
        raise ReleaseError(f"{' '.join(command)} failed:\n{(done.stderr or done.stdout).strip()}")
    return done.stdout.strip()


def main(arguments: list[str]) -> int:
    """Make the release, and say what to push; return the exit status."""
    try:
        made = release(ROOT, " ".join(arguments), datetime.now(UTC).date())
    except ReleaseError as error:
        typer.echo(error, err=True)
        return 1
    for file in made.files:
        typer.echo(f"Built {file.relative_to(ROOT)}")
    typer.echo(f"Committed and tagged {made.tag}. Nothing is pushed yet: git push --atomic origin {BRANCH} {made.tag}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
