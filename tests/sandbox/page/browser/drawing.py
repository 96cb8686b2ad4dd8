"""The page's own modules, drawing blocks and mrkdwn on an otherwise empty page."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.async_api import Locator, Page, Route, expect

import sandbox.page

STATIC = Path(sandbox.page.__file__).parent / "static"
NOW = 1_780_495_200  # 2026-06-03 14:00 UTC, 15:00 in London

_TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
FORMATTING = ("div", "blockquote", "pre", "code", "br", "strong", "em", "s", "a", "span", "time", "img")
"""The tags of drawn mrkdwn."""

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
    window.drawBlocks = (blocks) => {
        window.acted = [];
        document.body.dataset.acted = 0;
        document.body.replaceChildren(...renderBlocks(blocks, context));
    };
    window.mrkdwn = ([texts, options]) => texts.map((text) => {
        const holder = document.createElement("div");
        holder.append(...renderMrkdwn(text, context, options));
        const only = holder.firstElementChild;
        return holder.childElementCount === 1 && only.className === "paragraph" ? only.innerHTML : holder.innerHTML;
    });
    window.plain = (text) => mrkdwnAsText(text, context);
    window.harm = async ([drafts, tags]) => {
        document.body.replaceChildren();
        const found = drafts.flatMap((draft) => {
            const began = performance.now();
            const holder = document.createElement("div");
            document.body.append(holder);
            holder.append(...(typeof draft === "string" ? renderMrkdwn : renderBlocks)(draft, context));
            const every = [...holder.querySelectorAll("*")];
            const wrong = [
                ...every.map((e) => e.localName).filter((tag) => !tags.includes(tag)),
                ...every.filter((e) => e.localName === "img" && e.className !== "emoji").map((e) => e.outerHTML),
                ...every.flatMap((e) => e.href ?? e.src ?? []).filter((url) => !/^https?:/.test(url)),
                ...every.flatMap((e) => e.getAttributeNames()).filter((name) => name.startsWith("on")),
                ...(performance.now() - began < 10_000 ? [] : ["slow"]),
            ];
            return wrong.length ? [`${JSON.stringify(draft).slice(0, 200)}: ${wrong}`] : [];
        });
        await new Promise((later) => setTimeout(later, 10));
        return [...found, ...("broken" in window ? ["a script has run"] : [])];
    };
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

    async def mrkdwn(self, *texts: str, verbatim: bool = False) -> dict[str, str]:
        """Return the HTML that each mrkdwn text becomes, without the paragraph around it."""
        drawn = await self.page.evaluate("mrkdwn", [texts, {"verbatim": verbatim}])
        return dict(zip(texts, drawn, strict=True))

    async def harm(self, drafts: Iterable[Any], *more_tags: str) -> list[str]:
        """Draw mrkdwn texts or lists of blocks; return what is not text, formatting or a web link, or was slow."""
        return list(await self.page.evaluate("harm", [list(drafts), [*FORMATTING, *more_tags]]))

    async def acted(self, times: int = 1) -> Any:
        """Return what the bot would have received by then."""
        await expect(self.body).to_have_attribute("data-acted", str(times))
        return await self.page.evaluate("window.acted")
