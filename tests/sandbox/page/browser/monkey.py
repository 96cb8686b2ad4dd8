"""Clicks and types at random on what `make demo` shows, by hand:

    python -m tests.sandbox.page.browser.monkey --minutes 10

Exit status 1 when a console showed an error, or when memory kept growing after the page was full.
"""

import asyncio
import contextlib
import random
import re
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer
from playwright.async_api import BrowserContext, CDPSession, ConsoleMessage, Error, Page

from sandbox.realtimekit import SEEDS
from tests.sandbox.page.browser.chromium import chromium, running_chromium

MIB = 1024 * 1024
SAMPLES = 10
TIMEOUT_MS = 1_000  # ms for one click: what is covered or gone by then is left alone
SIZES = ((1440, 900), (1600, 1000), (1024, 768), (400, 800))
# A 409 is the server's answer to a button that was gone a moment before; Chromium notes it by itself.
LEGITIMATE = ("status of 409",)
WORDS = (
    "Hello",
    "*bold* _it_ ~no~",
    "<!channel> <script>x</script>",
    ":tada: https://example.com",
    "a\nb\n> c",
    "/dance",
)


@dataclass
class Sample:
    """What is in use at one moment."""

    heap: float
    nodes: int
    listeners: int
    sandbox: float
    bot: float

    def __str__(self) -> str:
        return (
            f"JS heap {self.heap:6.2f} MiB, {self.nodes:6} DOM nodes, {self.listeners:5} listeners; "
            f"sandbox {self.sandbox:6.1f} MiB, bot {self.bot:6.1f} MiB"
        )


@dataclass
class Monkey:
    """Does one thing after the other. `seen` counts what it did, `errors` is what the console showed."""

    page: Page
    random: random.Random
    seen: int = 0
    conflicts: int = 0
    errors: list[str] = field(default_factory=list)

    def watch(self) -> None:
        self.page.on("console", self._on_console)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type != "error":
            return
        if any(part in message.text for part in LEGITIMATE):
            self.conflicts += 1
        else:
            self.errors.append(message.text)

    async def act(self) -> None:
        """One thing at random; most often a click."""
        acts = [self._click, self._type, self._ask, self._press_key, self._resize, self._turn_a_dial, self._scheme]
        act = self.random.choices(acts, weights=[50, 12, 20, 8, 2, 4, 1])[0]
        try:
            await act()
        except Error as error:
            # It was covered, moved or redrawn meanwhile: a person would have missed it too.
            if "Timeout" not in error.message and "not attached" not in error.message:
                raise
        self.seen += 1

    async def _click(self) -> None:
        candidates = self.page.locator("button:visible:enabled, summary:visible, label:visible")
        count = await candidates.count()
        if count:
            await candidates.nth(self.random.randrange(count)).click(timeout=TIMEOUT_MS)

    async def _type(self) -> None:
        fields = self.page.locator("textarea:visible, input[type=search]:visible")
        count = await fields.count()
        if count:
            chosen = fields.nth(self.random.randrange(count))
            await chosen.fill(self.random.choice(WORDS), timeout=TIMEOUT_MS)
            await chosen.press("Enter", timeout=TIMEOUT_MS)

    async def _ask(self) -> None:
        composer = self.page.locator("#composer textarea:visible")
        if await composer.count():
            await composer.fill(f"/livestream {self.random.choice(SEEDS).id}", timeout=TIMEOUT_MS)
            await composer.press("Enter", timeout=TIMEOUT_MS)

    async def _press_key(self) -> None:
        await self.page.keyboard.press(self.random.choice(["Escape", "Tab", "Shift+Tab", "Enter", "ArrowDown", "/"]))

    async def _resize(self) -> None:
        width, height = self.random.choice(SIZES)
        await self.page.set_viewport_size({"width": width, "height": height})

    async def _scheme(self) -> None:
        await self.page.emulate_media(color_scheme=self.random.choice(["light", "dark"]))

    async def _turn_a_dial(self) -> None:
        dials = self.page.locator("select:visible")
        count = await dials.count()
        if count:
            dial = dials.nth(self.random.randrange(count))
            options = await dial.locator("option").count()
            # Mostly back to what works: otherwise there is little to click on.
            index = 0 if self.random.random() < 0.6 else self.random.randrange(options)
            await dial.select_option(index=index, timeout=TIMEOUT_MS)


@dataclass(frozen=True)
class Demo:
    """A running demo: its page's address, and the numbers of its process and of the bot's."""

    url: str
    pid: int

    @property
    def bot(self) -> int | None:
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children")
        numbers = children.read_text().split() if children.exists() else []
        return int(numbers[0]) if numbers else None


@contextlib.asynccontextmanager
async def running_demo() -> AsyncIterator[Demo]:
    """Yield the demo as a person starts it, until the block ends; what it says is passed on."""
    command = (sys.executable, "-m", "sandbox", "--no-open")
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    forwarding = asyncio.create_task(forward(process.stdout, address := asyncio.get_running_loop().create_future()))
    try:
        yield Demo(await asyncio.wait_for(address, 30), process.pid)
    finally:
        process.terminate()
        await process.wait()
        await forwarding


async def forward(lines: asyncio.StreamReader, address: "asyncio.Future[str]") -> None:
    """Say every line, and find the address in them."""
    async for raw in lines:
        line = raw.decode().rstrip()
        typer.echo(f"demo     {line}")
        found = re.search(r"http://127\.0\.0\.1:\d+", line)
        if found and not address.done():
            address.set_result(found[0])


async def watch_memory(session: CDPSession, demo: Demo) -> Sample:
    """Return what is in use after garbage was collected."""
    await session.send("HeapProfiler.collectGarbage")
    metrics = {each["name"]: each["value"] for each in (await session.send("Performance.getMetrics"))["metrics"]}
    return Sample(
        heap=metrics["JSHeapUsedSize"] / MIB,
        nodes=int(metrics["Nodes"]),
        listeners=int(metrics["JSEventListeners"]),
        sandbox=resident(demo.pid),
        bot=resident(demo.bot),
    )


def resident(process: int | None) -> float:
    """Return the resident memory of a process in MiB; 0 where there is no /proc."""
    status = Path(f"/proc/{process}/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return sum(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


def verdict(samples: list[Sample], errors: list[str]) -> list[str]:
    """Return what is wrong; nothing when all is well. The page is full after half of the time."""
    half, last = samples[len(samples) // 2], samples[-1]
    wrong = [f"The console showed: {error}" for error in errors]
    if last.heap > half.heap * 1.5 + 5:
        wrong.append(f"The JS heap grew from {half.heap:.1f} to {last.heap:.1f} MiB in the second half.")
    if last.nodes > half.nodes * 1.5 + 5_000:
        wrong.append(f"The page grew from {half.nodes} to {last.nodes} nodes in the second half.")
    if last.sandbox > half.sandbox * 1.25 + 20 or last.bot > half.bot * 1.25 + 20:
        wrong.append("The resident memory of the sandbox or the bot kept growing in the second half.")
    return wrong


async def run(minutes: float, seed: int) -> list[str]:
    """Let the monkey loose; what is wrong in the end."""
    path = chromium()
    if path is None:
        return ["There is no browser."]
    async with running_demo() as demo, running_chromium(path) as browser:
        context = await browser.new_context(viewport={"width": 1440, "height": 900})
        await stay_here(context, demo.url)
        page = await context.new_page()
        monkey = Monkey(page, random.Random(seed))
        monkey.watch()
        await page.goto(demo.url)
        session = await context.new_cdp_session(page)
        await session.send("Performance.enable")
        samples = [await watch_memory(session, demo)]
        typer.echo(f"start    {samples[0]}")
        began = time.monotonic()
        while (passed := time.monotonic() - began) < minutes * 60:
            await monkey.act()
            if passed > len(samples) * minutes * 60 / SAMPLES:
                samples.append(await watch_memory(session, demo))
                typer.echo(f"{passed:5.0f} s  {samples[-1]}")
        samples.append(await watch_memory(session, demo))
        typer.echo(f"end      {samples[-1]}")
        typer.echo(f"{monkey.seen} things done, {monkey.conflicts} of them too late (409), {len(monkey.errors)} errors")
        return verdict(samples, monkey.errors)


async def stay_here(context: BrowserContext, url: str) -> None:
    """Let no link lead to the network: the tab that it opens stays empty, and is closed."""

    async def leave(page: Page) -> None:
        if await page.opener() is not None:
            await page.close()

    await context.route(lambda address: not address.startswith(url), lambda route: route.fulfill(body=""))
    context.on("page", leave)


def main(
    minutes: Annotated[float, typer.Option(help="How long.")] = 10,
    seed: Annotated[int, typer.Option(help="Which monkey.")] = 1,
) -> None:
    """Click and type at random on the real page."""
    wrong = asyncio.run(run(minutes, seed))
    for sentence in wrong:
        typer.echo(sentence, err=True)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    typer.run(main)
