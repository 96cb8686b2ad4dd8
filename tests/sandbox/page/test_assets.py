"""The page's files are served, and no other files."""

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.responses import FileResponse
from yarl import URL

from sandbox.page import assets
from sandbox.page.assets import asset
from sandbox.page.refused import Refused
from tests.sandbox.page.conftest import Browser


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "static"
    (folder / "js").mkdir(parents=True)
    (folder / "index.html").write_text("<title>é</title>")
    (folder / "js" / "block-kit.js").write_text("export {};")
    (folder / "favicon.svg").write_text("<svg/>")
    (folder / "notes.txt").write_text("not for browsers")
    (folder / ".hidden.js").write_text("not for browsers")
    (folder / "folder.js").mkdir()
    (tmp_path / "secret.js").write_text("not for browsers")
    monkeypatch.setattr(asset, "__defaults__", (folder,))
    return folder


async def test_file_is_served_with_its_type_and_without_caching(browser: Browser, folder: Path) -> None:
    for path, name, content_type in (
        ("/", "index.html", "text/html"),
        ("/static/index.html", "index.html", "text/html"),
        ("/static/js/block-kit.js", "js/block-kit.js", "text/javascript"),
        ("/static/favicon.svg", "favicon.svg", "image/svg+xml"),
    ):
        async with browser.session.get(browser.url + path) as response:
            body = await response.read()

        assert (path, response.status, body) == (path, 200, (folder / name).read_bytes())
        assert response.headers["Content-Type"] == f"{content_type}; charset=utf-8"
        assert response.headers["Cache-Control"] == "no-cache"


async def test_paths_outside_the_folder_and_other_files_are_404(browser: Browser, folder: Path) -> None:
    for name in (
        "../secret.js",
        "%2e%2e/secret.js",
        "..%2fsecret.js",
        "js/../../secret.js",
        "..%5csecret.js",
        "/secret.js",
        f"{folder}/../secret.js",
        f"{folder}/index.html",
        ".hidden.js",
        "notes.txt",
        "none.js",
        "folder.js",
        "js",
        "",
        "index.html%00.js",
    ):
        async with browser.session.get(URL(f"{browser.url}/static/{name}", encoded=True)) as response:
            answer = await response.json()

        assert (name, response.status) == (name, 404)
        assert answer["error"] in ("There is no such file.", "Not Found.")


@given(st.text(alphabet=st.sampled_from("./\\%ajs~\0 é:"), max_size=30).map(lambda name: f"{name}.js"))
def test_any_name_stays_in_the_folder(name: str) -> None:
    with contextlib.suppress(Refused):
        response = asset(name)
        assert isinstance(response, FileResponse)
        assert Path(response.path).resolve().is_relative_to(assets.FOLDER.resolve())
