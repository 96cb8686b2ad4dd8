"""Makes the README's pictures from the real page, with the real bot behind it: `python -m docs.screenshots`."""

import asyncio
import sys
from pathlib import Path
from urllib.parse import urlencode

from playwright.async_api import Browser, Page, ViewportSize

from sandbox.realtimekit.seeds import LIVE, STARTING
from sandbox.running import Sandbox, running_sandbox
from sandbox.slack import ANN, BEN, CHRIS, EVENTS, GENERAL, Message
from tests.sandbox.page.browser.chromium import chromium, running_chromium

IMAGES = Path(__file__).parent / "images"
DESKTOP: ViewportSize = {"width": 1440, "height": 900}


async def main() -> None:
    """Let Ann, Ben and Chris talk about a livestream, and take the pictures."""
    path = chromium()
    if path is None:
        sys.exit("No browser was found: install chromium, or name one in CHROMIUM.")
    IMAGES.mkdir(exist_ok=True)
    async with running_sandbox() as sandbox, running_chromium(path) as browser:
        say(sandbox, ANN, "Morning! The keynote goes out from the *main stage* today.")
        say(sandbox, BEN, "Is it on air already?")
        page = await open_page(browser, sandbox, DESKTOP)
        await ask(page, LIVE)
        await page.locator("#message-list").get_by_role("button", name="Post here").click()
        card = page.locator("#message-list > .message", has_text="Posted by")
        await card.wait_for()
        await reply(page, sandbox)
        await ask(page, STARTING)
        await page.locator("#composer textarea").focus()
        await page.screenshot(path=IMAGES / "sandbox.png")
        await page.locator("#message-list > .message", has_text="Launch keynote").screenshot(path=IMAGES / "card.png")
        await show_more(page)
        await page.screenshot(path=IMAGES / "sandbox-dark.png")
        await page.get_by_role("button", name="Let Cloudflare work again").click()
        follower = await open_page(browser, sandbox, DESKTOP, GENERAL)
        await follow(follower, sandbox)
        await follower.screenshot(path=IMAGES / "following.png")


def say(sandbox: Sandbox, user: str, text: str, thread_ts: str | None = None, channel: str = EVENTS) -> None:
    """Let somebody who is not at this browser say something."""
    workspace = sandbox.slack.workspace
    workspace.post(Message(channel, workspace.next_ts(sandbox.clock.now()), user, text, thread_ts=thread_ts))


async def open_page(browser: Browser, sandbox: Sandbox, size: ViewportSize, channel: str = EVENTS) -> Page:
    """Ann's page, in a channel."""
    page = await browser.new_page(viewport=size, device_scale_factor=2, locale="en-GB", color_scheme="light")
    await page.goto(f"{sandbox.url}/#{urlencode({'user': ANN, 'channel': channel})}")
    await page.locator("body[data-connection=open]").wait_for()
    return page


async def ask(page: Page, meeting_id: str) -> None:
    """Type the command, and wait for the answer."""
    composer = page.locator("#composer textarea")
    await composer.fill(f"/livestream {meeting_id}")
    await composer.press("Enter")
    await page.locator("#message-list > .is-ephemeral", has_text=meeting_id).wait_for()


async def reply(page: Page, sandbox: Sandbox) -> None:
    """Ben and Chris answer in the card's thread."""
    [card] = [message for message in sandbox.slack.messages(EVENTS) if message.author == sandbox.slack.app.user_id]
    say(sandbox, BEN, "Sound and picture are fine here :white_check_mark:", card.ts)
    say(sandbox, CHRIS, "Here too. Shared it with the partners.", card.ts)
    await page.get_by_role("button", name="2 replies").wait_for()


async def show_more(page: Page) -> None:
    """In the dark: the thread, the calls, and a fault that is switched on."""
    await page.emulate_media(color_scheme="dark")
    await page.get_by_role("button", name="2 replies").click()
    await page.get_by_role("button", name="Calls").click()
    await page.get_by_label("Cloudflare", exact=True).select_option("rate_limited")
    await page.locator("#fault-banners .banner").wait_for()
    await page.mouse.move(0, 0)


async def follow(page: Page, sandbox: Sandbox) -> None:
    """Ben has the channel follow a meeting, which starts, and goes live; Ann has opened the card's thread."""
    say(sandbox, ANN, "The keynote is about to start.", channel=GENERAL)
    say(sandbox, BEN, "I’m having it followed here, so we can all see when it starts.", channel=GENERAL)
    sandbox.kit.end(LIVE)
    await sandbox.slack.command(f"follow {LIVE}", user=BEN, channel=GENERAL)
    card = page.locator("#message-list > .message", has_text="Updates in thread")
    await card.hover()
    await card.get_by_role("button", name="Reply in thread").click()
    meeting, thread = page.locator(f"[data-meeting='{LIVE}']"), page.locator("#thread")
    await meeting.get_by_role("button", name="Start").click()
    await thread.get_by_text("is starting").wait_for()
    await meeting.get_by_role("button", name="Go live").click()
    await thread.get_by_text("is live").wait_for()
    await card.get_by_text("started").wait_for()
    followed = next(each for each in sandbox.slack.messages(GENERAL) if each.author == sandbox.slack.app.user_id)
    say(sandbox, CHRIS, "Watching. The sound is good :white_check_mark:", followed.ts, channel=GENERAL)
    await card.get_by_role("button", name="3 replies").wait_for()
    await page.locator("#thread textarea").focus()
    await page.mouse.move(0, 0)


if __name__ == "__main__":
    asyncio.run(main())
