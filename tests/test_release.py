"""`make release`, in a temporary repository with the files that it reads."""

import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from datetime import date
from pathlib import Path

import pytest

from bot import __version__
from scripts.release import NAMES_VERSION, ReleaseError, release
from tests.deployment import ROOT

FILES = (".gitignore", "LICENSE", "Makefile", "pyproject.toml", "scripts/release.py", *NAMES_VERSION)
TODAY = date(2026, 3, 9)
CHANGELOG = """\
# Changelog

## [Unreleased]

### Fixed

- A card is edited once.

## [1.4.0] - 2026-01-02

### Added

- Cards.
"""
pytestmark = pytest.mark.skipif(not shutil.which("git"), reason="git is missing")


def git(root: Path, *arguments: str) -> str:
    command = ["git", *arguments]
    return subprocess.run(command, cwd=root, check=True, capture_output=True, text=True).stdout.strip()


def commit(root: Path) -> None:
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message", "Change something")


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a repository at version 1.4.0, which is released, with one change since."""
    for variable in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    root = tmp_path / "clone"
    for name in FILES:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text((ROOT / name).read_text(encoding="utf-8").replace(__version__, "1.4.0"))
    shutil.copytree(ROOT / "manifests/slack", root / "manifests/slack")
    (root / "CHANGELOG.md").write_text(CHANGELOG)
    git(root, "init", "--quiet", "--initial-branch", "main")
    git(root, "config", "user.name", "Ann")
    git(root, "config", "user.email", "ann@example.com")
    commit(root)
    git(root, "tag", "--annotate", "--message", "Release 1.4.0", "v1.4.0")
    return root


def assert_nothing_was_released(root: Path, commits: str = "1") -> None:
    assert git(root, "rev-list", "--count", "--all") == commits
    assert git(root, "tag") == "v1.4.0"
    assert not (root / "dist").exists()


def test_release_is_committed_and_tagged(repository: Path) -> None:
    release(repository, "1.5.0", TODAY)

    assert git(repository, "log", "-1", "--format=%s", "v1.5.0") == "Release 1.5.0"
    assert git(repository, "rev-parse", "v1.5.0^{commit}") == git(repository, "rev-parse", "main")
    assert git(repository, "cat-file", "-t", "v1.5.0") == "tag"
    assert git(repository, "status", "--porcelain") == ""
    changed = git(repository, "diff", "--name-only", "HEAD~1").splitlines()
    assert sorted(changed) == sorted([*NAMES_VERSION, "CHANGELOG.md"])


def test_unreleased_changes_move_to_the_new_version(repository: Path) -> None:
    release(repository, "1.5.0", TODAY)

    heading = "## [Unreleased]\n\n## [1.5.0] - 2026-03-09\n"
    assert (repository / "CHANGELOG.md").read_text() == CHANGELOG.replace("## [Unreleased]\n", heading)


def test_every_file_has_the_new_version(repository: Path) -> None:
    release(repository, "1.5.0", TODAY)

    assert '__version__ = "1.5.0"\n' in (repository / "bot/__init__.py").read_text()
    assert "image: livestream-bot:1.5.0\n" in (repository / "manifests/kubernetes/deployment.yaml").read_text()
    assert "1.4.0" not in "".join((repository / name).read_text() for name in NAMES_VERSION)


def test_no_unknown_file_contains_the_version() -> None:
    """The script would not update it."""
    paths = [ROOT / "README.md", ROOT / "Dockerfile", ROOT / "compose.yaml", ROOT / "pyproject.toml"]
    paths += [*(ROOT / "bot").rglob("*.py"), *(ROOT / "docs").rglob("*.md")]
    paths += [path for path in (ROOT / "manifests").rglob("*") if path.is_file()]
    naming = {
        str(path.relative_to(ROOT))
        for path in paths
        if re.search(rf"(?<![\d.]){re.escape(__version__)}(?![\d.]*\d)", path.read_text(encoding="utf-8"))
    }

    assert naming == set(NAMES_VERSION)


def test_wheel_and_sdist_have_the_new_version(repository: Path) -> None:
    made = release(repository, "1.5.0", TODAY)

    wheel, sdist = made.files
    assert [file.name for file in made.files] == [
        "livestream_bot-1.5.0-py3-none-any.whl",
        "livestream_bot-1.5.0.tar.gz",
    ]
    with zipfile.ZipFile(wheel) as archive:
        assert b'__version__ = "1.5.0"' in archive.read("bot/__init__.py")
        assert "bot/slack/manifests/http.yaml" in archive.namelist()
    with tarfile.open(sdist) as archive:
        assert "livestream_bot-1.5.0/CHANGELOG.md" in archive.getnames()


def test_consecutive_releases_succeed(repository: Path) -> None:
    release(repository, "1.5.0", TODAY)
    with pytest.raises(ReleaseError, match=r"^The section “Unreleased” of CHANGELOG\.md is empty\.$"):
        release(repository, "1.5.1", TODAY)
    changelog = (repository / "CHANGELOG.md").read_text()
    (repository / "CHANGELOG.md").write_text(changelog.replace("[Unreleased]\n", "[Unreleased]\n\n- A fix.\n"))
    commit(repository)
    release(repository, "1.10.0", TODAY)

    assert re.findall(r"^## (.*)", (repository / "CHANGELOG.md").read_text(), re.MULTILINE) == [
        "[Unreleased]",
        "[1.10.0] - 2026-03-09",
        "[1.5.0] - 2026-03-09",
        "[1.4.0] - 2026-01-02",
    ]


def test_first_release_may_have_the_current_version(repository: Path) -> None:
    git(repository, "tag", "--delete", "v1.4.0")
    (repository / "CHANGELOG.md").write_text(CHANGELOG.partition("## [1.4.0]")[0])
    commit(repository)

    assert release(repository, "1.4.0", TODAY).tag == "v1.4.0"


@pytest.mark.parametrize(
    ("version", "sentence"),
    [
        ("1.4.0", "1.4.0 is not newer than 1.4.0, the last release."),
        ("1.3.9", "1.3.9 is not newer than 1.4.0, the last release."),
        ("v1.5.0", "Give a version such as 1.2.3, not “v1.5.0”"),
        ("1.5", "Give a version such as 1.2.3, not “1.5”"),
        ("1.05.0", "Give a version such as 1.2.3, not “1.05.0”"),
        ("", "Give a version such as 1.2.3, not “”"),
    ],
)
def test_version_that_is_not_newer_is_rejected(repository: Path, version: str, sentence: str) -> None:
    with pytest.raises(ReleaseError, match=re.escape(sentence)):
        release(repository, version, TODAY)

    assert_nothing_was_released(repository)


@pytest.mark.parametrize("record", ["tag", "changelog"])
def test_released_version_is_known_from_tag_or_changelog(repository: Path, record: str) -> None:
    """A shallow clone has no tags, and a changelog may have been edited."""
    if record == "changelog":
        git(repository, "tag", "--delete", "v1.4.0")
    else:
        (repository / "CHANGELOG.md").write_text(CHANGELOG.partition("## [1.4.0]")[0])
        commit(repository)

    with pytest.raises(ReleaseError, match=r"1\.4\.0 is not newer than 1\.4\.0, the last release\."):
        release(repository, "1.4.0", TODAY)


def test_version_older_than_the_codes_is_rejected(repository: Path) -> None:
    path = repository / "bot/__init__.py"
    path.write_text(path.read_text().replace("1.4.0", "2.0.0"))
    commit(repository)

    with pytest.raises(ReleaseError, match=r"^1\.9\.0 is older than 2\.0\.0, the version in bot/__init__\.py\.$"):
        release(repository, "1.9.0", TODAY)


@pytest.mark.parametrize("name", ["bot/__init__.py", "bot/untracked.py"])
def test_dirty_tree_is_rejected(repository: Path, name: str) -> None:
    with (repository / name).open("a") as file:
        file.write("# not committed\n")

    with pytest.raises(ReleaseError, match=r"^There are uncommitted changes or untracked files"):
        release(repository, "1.5.0", TODAY)

    assert_nothing_was_released(repository)
    assert "# not committed" in (repository / name).read_text()


@pytest.mark.parametrize(("switch", "here"), [("--create=topic", "topic"), ("--detach", "a detached HEAD")])
def test_another_branch_is_rejected(repository: Path, switch: str, here: str) -> None:
    git(repository, "switch", "--quiet", switch)

    with pytest.raises(ReleaseError, match=f"^Releases are made on main, and this is {here}\\.$"):
        release(repository, "1.5.0", TODAY)

    assert_nothing_was_released(repository)


@pytest.mark.parametrize(
    ("section", "sentence"),
    [
        ("## [Unreleased]\n\n### Added\n\n### Fixed\n", "The section “Unreleased” of CHANGELOG.md is empty."),
        (
            "## [Unreleased]\n\n[Unreleased]: https://example.com\n",
            "The section “Unreleased” of CHANGELOG.md is empty.",
        ),
        ("## Next\n\n- A fix.\n", "CHANGELOG.md has no section “## [Unreleased]”."),
    ],
)
def test_changelog_without_changes_is_rejected(repository: Path, section: str, sentence: str) -> None:
    (repository / "CHANGELOG.md").write_text(f"# Changelog\n\n{section}\n## [1.4.0] - 2026-01-02\n\n- Cards.\n")
    commit(repository)

    with pytest.raises(ReleaseError, match=f"^{re.escape(sentence)}$"):
        release(repository, "1.5.0", TODAY)

    assert_nothing_was_released(repository, commits="2")


def test_all_problems_are_reported_together(repository: Path) -> None:
    git(repository, "switch", "--quiet", "--create=topic")
    (repository / "CHANGELOG.md").write_text("# Changelog\n")

    with pytest.raises(ReleaseError) as refused:
        release(repository, "1.4.0", TODAY)

    assert len(str(refused.value).splitlines()) == 4


def test_failed_build_changes_nothing(repository: Path) -> None:
    (repository / "pyproject.toml").write_text("[project]\n")
    commit(repository)

    with pytest.raises(ReleaseError, match="hatchling build --directory dist failed:\n"):
        release(repository, "1.5.0", TODAY)

    assert git(repository, "status", "--porcelain") == ""
    assert_nothing_was_released(repository, commits="2")


def test_commit_rejected_by_a_hook_changes_nothing(repository: Path) -> None:
    hook = repository / ".git/hooks/pre-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho not today >&2\nexit 1\n")
    hook.chmod(0o755)

    with pytest.raises(ReleaseError, match="not today"):
        release(repository, "1.5.0", TODAY)

    assert git(repository, "status", "--porcelain") == ""
    assert git(repository, "tag") == "v1.4.0"


@pytest.mark.skipif(not shutil.which("make"), reason="make is missing")
@pytest.mark.parametrize(("version", "status"), [("1.5.0", 0), ("1.4.0", 2)])
def test_make_release_prints_what_to_push_or_the_problem(repository: Path, version: str, status: int) -> None:
    """The target runs the script with this virtual environment, without installing anything."""
    ready = f"{sys.prefix}/.ready-to-run"
    command = ["make", f"VENV={sys.prefix}", f"--assume-old={ready}", "release", f"VERSION={version}"]

    # Not as a part of the `make test` that may run this.
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    done = subprocess.run(command, cwd=repository, check=False, capture_output=True, text=True, env=environment)

    assert done.returncode == status
    if status:
        assert done.stderr.startswith("1.4.0 is not newer than 1.4.0, the last release.\n")
    else:
        assert done.stdout.splitlines() == [
            "Built dist/livestream_bot-1.5.0-py3-none-any.whl",
            "Built dist/livestream_bot-1.5.0.tar.gz",
            "Committed and tagged v1.5.0. Nothing is pushed yet: git push --atomic origin main v1.5.0",
        ]
