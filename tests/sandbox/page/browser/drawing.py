"""The page's own modules, drawing blocks and mrkdwn on an otherwise empty page."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.async_api import Locator, Page, Route, expect

import sandbox.page

STATIC = Path(sandbox.page.__file__).parent / "static"
NOW = 1_780_495_200  # 2026-06-03 14:00 UTC, 15:00 in London

_TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
_POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:"
_EMPTY = '<!doctype html><html lang="en"><title>Drawing</title><link rel="icon" href="data:," /><body></body></html>'

DRAWING = """async (now) => {
    const [{ renderBlocks }, { renderMrkdwn, mrkdwnAsText }, { confirmDialog }] = await Promise.all(
        ["block_kit", "mrkdwn", "confirm_dialog"].map((name) => import(`/static/js/${name}.js`)));
    const context = {
        users: new Map([["U0ANN000001", { real_name: "Ann" }], ["U0BEN000001", { real_name: "Ben" }]]),
        channels: new Map([["C0GENERAL01", { name: "general" }]]),
        me: "U0ANN000001",
        now: () => now,
        act: async (action) => {
            window.acted.push(action);
            document.body.dataset.acted = window.acted.length;
            return true;
        },
        confirm: (dialog) => confirmDialog(dialog, context),
    };
    const show = (nodes) => {
        window.acted = [];
        document.body.dataset.acted = 0;
        document.body.replaceChildren(...nodes);
    };
    window.drawBlocks = (blocks) => show(renderBlocks(blocks, context));
    window.drawMrkdwn = ([text, options]) => show(renderMrkdwn(text, context, options));
    window.plain = (text) => mrkdwnAsText(text, context);
}"""


async def serve_statics(route: Route) -> None:
    """Answer as the page's server does, from the files."""
    file = STATIC / urlsplit(route.request.url).path.removeprefix("/static/")
    if file.is_file():
        await route.fulfill(path=file, content_type=_TYPES[file.suffix])
    else:
        await route.fulfill(body=_EMPTY, content_type="text/html", headers={"content-security-policy": _POLICY})


@dataclass
class Drawing:
    """Draws, and shows what was drawn."""

    page: Page

    @property
    def body(self) -> Locator:
        return self.page.locator("body")

    async def blocks(self, *blocks: Any) -> Locator:
        """Draw blocks instead of what was there."""
        await self.page.evaluate("(blocks) => drawBlocks(blocks)", list(blocks))
        return self.body

    async def mrkdwn(self, text: str, *, verbatim: bool = False) -> str:
        """The HTML that a mrkdwn text becomes, without the paragraph around it."""
        await self.page.evaluate("(drawn) => drawMrkdwn(drawn)", [text, {"verbatim": verbatim}])
        html: str = await self.page.evaluate("document.body.innerHTML")
        only = '<div class="paragraph">'
        if html.startswith(only) and html.count("<div") == 1 and html.endswith("</div>"):
            return html.removeprefix(only).removesuffix("</div>")
        return html

    async def plain(self, text: str) -> Any:
        """A mrkdwn text in plain words."""
        return await self.page.evaluate("(text) => plain(text)", text)

    async def acted(self, times: int = 1) -> Any:
        """Return what the bot would have received by then."""
        await expect(self.body).to_have_attribute("data-acted", str(times))
        return await self.page.evaluate("window.acted")
