"""The words in docs, docstrings, help and messages: no phrases for which docs/glossary.md has better ones."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
GLOSSARY = ROOT / "docs" / "glossary.md"
DOCUMENTS = (
    *sorted(path for path in (ROOT / "docs").rglob("*.md") if path != GLOSSARY),
    *sorted(ROOT.glob("*.md")),
)
PAGE = ROOT / "sandbox" / "page" / "static"
SOURCES = tuple(
    sorted(path for folder in ("bot", "sandbox", "bench", "scripts") for path in (ROOT / folder).rglob("*.py"))
)
TESTS = tuple(path for path in sorted((ROOT / "tests").rglob("*.py")) if path != Path(__file__))  # it quotes phrases
SCRIPTS = tuple(sorted(PAGE.rglob("*.js")))
# Searched as a whole: their code has none of the phrases either.
OTHERS = (
    *(ROOT / name for name in (".ci/run", ".env.example", "Makefile", "Dockerfile", "compose.yaml")),
    *sorted((ROOT / "manifests").rglob("*.yaml")),
    PAGE / "index.html",
)

Text = tuple[int, str]
"""The number of the first line, and the text."""


@dataclass(frozen=True)
class Phrase:
    words: str
    better: str
    exceptions: tuple[str, ...]

    @property
    def pattern(self) -> str:
        """The phrase as whole words, also across a line break, but not as the start of an exception."""
        exceptions = "".join(rf"(?!{_spaced(exception)}\b)" for exception in self.exceptions)
        return rf"(?<![\w-]){exceptions}{_spaced(self.words)}(?![\w-])"


def _spaced(words: str) -> str:
    return r"\s+".join(map(re.escape, words.split()))


def _phrases() -> list[Phrase]:
    _, _, table = GLOSSARY.read_text(encoding="utf-8").partition("| instead of | write | except |\n|---|---|---|\n")
    found = []
    for row in table.splitlines():
        words, better, exceptions = (cell.strip() for cell in row.strip("|").split("|"))
        known = tuple(exceptions.split(", ")) if exceptions else ()
        found += [Phrase(each, better, known) for each in words.split(", ")]
    return found


PHRASES = _phrases()
ANY_PHRASE = re.compile("|".join(phrase.pattern for phrase in PHRASES), re.IGNORECASE)


def _strings(source: str) -> Iterator[Text]:
    """Yield docstrings and other strings that contain a space, with {} for what an f-string fills in."""
    tree = ast.parse(source)
    filled = [node for node in ast.walk(tree) if isinstance(node, ast.JoinedStr)]
    parts = {id(part) for node in filled for part in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            text = "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in parts:
            text = node.value
        else:
            continue
        if " " in text and not re.search(r" (AND|IN|IS NULL) ", text):  # SQL names columns
            yield node.lineno, text


def _comments(source: str) -> Iterator[Text]:
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def _script(source: str) -> Iterator[Text]:
    """Yield JavaScript's strings in double quotes that contain a space, and its comments."""
    for number, line in enumerate(source.splitlines(), start=1):
        for found in re.finditer(r'"[^"]* [^"]*"|(?:^|\s)(?:/?\*|//)\s.*', line):
            yield number, found[0]


def _prose(markdown: str) -> Text:
    """Return the Markdown with its code blocks emptied, so that line numbers stay."""
    return 1, re.sub(
        r"^ *```.*?^ *```", lambda code: "\n" * code[0].count("\n"), markdown, flags=re.DOTALL | re.MULTILINE
    )


def _texts(path: Path) -> list[Text]:
    content = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        return [*_strings(content), *_comments(content)]
    if path.suffix == ".js":
        return list(_script(content))
    return [_prose(content) if path.suffix == ".md" else (1, content)]


def complaints(name: str, texts: list[Text]) -> list[str]:
    found = []
    for first_line, text in texts:
        plain = re.sub(r"`[^`\n]*`", "``", text)  # identifiers and commands
        for match in ANY_PHRASE.finditer(plain):
            phrase = next(phrase for phrase in PHRASES if re.fullmatch(_spaced(phrase.words), match[0], re.IGNORECASE))
            line = first_line + plain.count("\n", 0, match.start())
            found.append(f"{name}:{line}: “{' '.join(match[0].split())}”: write {phrase.better}")
    return found


@pytest.mark.parametrize(
    "paths",
    [DOCUMENTS, SOURCES, TESTS, SCRIPTS, OTHERS],
    ids=["documents", "sources", "tests", "page", "others"],
)
def test_no_phrase_appears_that_the_glossary_replaces(paths: tuple[Path, ...]) -> None:
    assert paths
    found = [line for path in paths for line in complaints(str(path.relative_to(ROOT)), _texts(path))]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("name", "content", "line", "words"),
    [
        ("doc.md", "Fine.\n\n```sh\nnobody\n```\n\nIt is for `nobody`, and nobody\nelse.\n", 7, "nobody"),
        ("doc.md", "Fine.\nThe bot is at\nrest.\n", 2, "at rest"),
        ("code.py", 'def f() -> None:\n    """Return.\n\n    The quota is used up.\n    """\n', 4, "The quota"),
        ("code.py", 'x = f"{1} changes for {2}, at rest after"\n', 1, "at rest"),
        ("code.py", "x = 1  # the loop must go on\n", 1, "go on"),
        ("page.js", 'const whom = "";\nsay("It is gone for everybody.");\n', 2, "everybody"),
        ("Makefile", "format: ## Mend the code\n", 1, "Mend"),
    ],
)
def test_a_phrase_is_reported_with_its_line_and_what_to_write(
    tmp_path: Path, name: str, content: str, line: int, words: str
) -> None:
    path = tmp_path / name
    path.write_text(content, encoding="utf-8")

    found = complaints(name, _texts(path))

    assert any(one.startswith(f"{name}:{line}: “{words}”: write ") for one in found), found
    assert len({one.split(": ")[0] for one in found}) == 1


def test_exceptions_are_fine(tmp_path: Path) -> None:
    path = tmp_path / "doc.md"
    path.write_text("Whoever runs this bot can go on air; the two are told apart, and nobody-else is a name.\n")

    assert complaints("doc.md", _texts(path)) == []
