"""A browser tab with the sandbox page, in terms of what a person does."""

from typing import Any
from urllib.parse import urlencode

from playwright.async_api import ConsoleMessage, Error, Locator, Page, ViewportSize, expect

from bot.slack.responder import STILL_CHECKING

TAKES = 30_000  # ms: the bot may use its whole timeout for Cloudflare, on a slow and busy machine

SIZE: ViewportSize = {"width": 1440, "height": 900}

IS_AS_NEW = """() => {
    const { log, panel, place, connection } = document.body.dataset;
    const open = ".notice, .unread, .menu, dialog, .command-menu:not([hidden]), .meeting-problem:not(:empty)";
    return [log, panel, place, connection].join() === "closed,open,chat,open"
        && !document.querySelector(open)
        && ![...document.querySelectorAll("textarea, #call-search")].some((field) => field.value)
        && document.getElementById("call-filter").value === "all";
}"""
"""A function of JavaScript: whether a page of this size looks as if it had just been opened, but for its messages."""
MOVE = """(place) => new Promise((moved) => {
    document.activeElement.blur();
    document.getElementById("announcer").replaceChildren();
    window.addEventListener("hashchange", () => moved(), { once: true });
    if (window.location.hash === `#${place}`) moved();
    window.location.hash = place;
})"""
DRAWN = "() => new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(() => drawn())))"
"""A function of JavaScript: done when what has happened so far is drawn."""


class Tab:
    """One tab. `troubles` are the errors in its console."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url
        self.troubles: list[str] = []
        page.on("console", self._on_console)
        page.on("pageerror", self._on_error)
        page.set_default_timeout(TAKES)

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.troubles.append(message.text)

    def _on_error(self, error: Error) -> None:
        self.troubles.append(str(error))

    async def open(self, user: str, channel: str) -> None:
        """Go to the page as this person in this channel, and wait until it is connected.

        To load the page costs ten times as much as to move in the one of an earlier test.
        """
        place = urlencode({"user": user, "channel": channel})
        if self.page.url.startswith(self.url):
            await self.page.evaluate(MOVE, place)
        else:
            await self.page.goto(f"{self.url}/#{place}")
        await self.connected()
        await expect(self.page.locator(f"#people input[value={user}]")).to_be_checked()
        await self.evaluate(DRAWN)

    async def leave(self, *, for_good: bool) -> None:
        """Leave the window to the next test: empty, or with the page if it is as new."""
        self.page.remove_listener("console", self._on_console)
        self.page.remove_listener("pageerror", self._on_error)
        await self.page.unroute_all(behavior="ignoreErrors")
        await self.page.evaluate("sessionStorage.clear()")
        await self.page.emulate_media(color_scheme="light")
        await self.page.set_viewport_size(SIZE)
        if for_good or not await self.evaluate(IS_AS_NEW):
            await self.page.goto("about:blank")

    async def connected(self) -> None:
        await expect(self.page.locator("body")).to_have_attribute("data-connection", "open")

    @property
    def composer(self) -> Locator:
        return self.page.locator("#composer textarea")

    @property
    def messages(self) -> Locator:
        """The messages of the channel, oldest first."""
        return self.page.locator("#message-list > .message")

    @property
    def latest(self) -> Locator:
        return self.messages.last

    @property
    def thread(self) -> Locator:
        return self.page.get_by_role("complementary", name="Thread")

    def message(self, text: str) -> Locator:
        """Return the latest message of the channel with this text in it."""
        return self.messages.filter(has_text=text).last

    def meeting(self, meeting_id: str) -> Locator:
        """Return a meeting's card in the panel."""
        return self.page.locator(f"[data-meeting='{meeting_id}']")

    async def say(self, text: str) -> None:
        """Type a message or a command, and send it."""
        await self.composer.fill(text)
        await self.composer.press("Enter")

    async def ask(self, text: str) -> Locator:
        """Type `/livestream ...`; return the private answer, ignoring other messages and a note that it is late."""
        private = self.page.locator("#message-list > .message.is-ephemeral").filter(has_not_text=STILL_CHECKING)
        known = await private.count()
        await self.say(f"/livestream {text}".rstrip())
        ts = await private.nth(known).get_attribute("data-ts")
        return self.page.locator(f"#message-list > [data-ts='{ts}']")

    async def set_fault(self, service: str, fault: str) -> None:
        """Choose how `service` fails, and wait until it does."""
        await self.page.get_by_label(service, exact=True).select_option(fault)
        await expect(self.page.locator("#fault-banners")).to_contain_text(f"{service}:")

    async def press(self, message: Locator, name: str) -> None:
        """Press a button of a message."""
        await message.get_by_role("button", name=name, exact=True).click()

    async def evaluate(self, script: str, argument: Any = None) -> Any:
        return await self.page.evaluate(script, argument)
