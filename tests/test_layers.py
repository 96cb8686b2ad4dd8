"""Packages import downwards only, and nothing but the entry points imports the wiring."""

import ast
from collections.abc import Iterable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BOT = ROOT / "bot"
LAYERS = ["domain", "store", "realtimekit", "following", "slack", "notifications"]
"""From the bottom up."""
SIDE_BY_SIDE = {("store", "realtimekit"), ("realtimekit", "store")}
EVERYWHERE = {"clock", "errors", "metrics", "network", "wording", "worker"}
"""Top-level modules that any package may import. They import none of the packages."""


def imports_of(file: Path) -> set[str]:
    """Return the dotted names of the bot's modules that a file imports."""
    return set(_imported(ast.parse(file.read_text())))


def _imported(tree: ast.AST) -> Iterable[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] == "bot")
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "bot":
            assert node.level == 0
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                place = ROOT.joinpath(*full.split("."))
                yield full if place.is_dir() or place.with_suffix(".py").exists() else str(node.module)


def part(module: str) -> str:
    """Return the package, or the top-level module, that a dotted name belongs to."""
    return [*module.split("."), ""][1]


def may_import(package: str, other: str) -> bool:
    """Return whether a module of this package may import the other package or top-level module."""
    if other in EVERYWHERE:
        return True
    if other not in LAYERS or (package, other) in SIDE_BY_SIDE:
        return False
    return LAYERS.index(other) <= LAYERS.index(package)


@pytest.mark.parametrize("package", LAYERS)
def test_packages_import_only_lower_packages(package: str) -> None:
    """No module imports one of a package above its own, or the wiring at the top level."""
    files = list((BOT / package).rglob("*.py"))
    upwards = [
        f"{file}: {module}" for file in files for module in imports_of(file) if not may_import(package, part(module))
    ]

    assert files
    assert upwards == []


@pytest.mark.parametrize("module", sorted(EVERYWHERE))
def test_shared_modules_import_no_package(module: str) -> None:
    assert {part(each) for each in imports_of(BOT / f"{module}.py")} <= EVERYWHERE


def test_only_entry_points_import_the_wiring() -> None:
    """`app` is imported by the process that runs it, and by the commands that open parts of it."""
    users = {file.stem for file in BOT.rglob("*.py") if "bot.app" in imports_of(file)}

    assert users == {"doctor", "process"}
    assert {file.stem for file in BOT.rglob("*.py") if "bot.cli" in imports_of(file)} == {"__main__"}


def test_bot_never_imports_the_sandbox() -> None:
    """The sandbox is neither in the wheel nor in the image."""
    for file in BOT.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [str(node.module)] if isinstance(node, ast.ImportFrom) else []
            assert not any(name.split(".")[0] in ("sandbox", "tests") for name in names), file
