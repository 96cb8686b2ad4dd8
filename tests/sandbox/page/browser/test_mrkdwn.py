"""Slack's mrkdwn becomes elements, and nothing but text comes of anything else."""

import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.sandbox.page.browser.drawing import NOW, Drawing
from tests.sandbox.page.browser.hostile import HOSTILE

pytestmark = pytest.mark.asyncio(loop_scope="session")

LEAVING = 'target="_blank" rel="noopener noreferrer"'


def link(href: str, text: str) -> str:
    return f'<a href="{href}" {LEAVING}>{text}</a>'


FORMATS = {
    "*bold* _italic_ ~struck~": "<strong>bold</strong> <em>italic</em> <s>struck</s>",
    "*bold _and italic_*": "<strong>bold <em>and italic</em></strong>",
    "2*3*4 snake_case_name a~b~c": "2*3*4 snake_case_name a~b~c",
    "* not bold * and *not\nbold*": "* not bold * and *not<br>bold*",
    "(*bold*), *bold*!": "(<strong>bold</strong>), <strong>bold</strong>!",
    "`*code* &lt;b&gt;`": "<code>*code* &lt;b&gt;</code>",
    "``": "``",
    "a\nb": "a<br>b",
    "&lt;b&gt; &amp;amp; &quot;": "&lt;b&gt; &amp;amp; &amp;quot;",
    "<https://example.com/?a=1&amp;b=2|a *label*>": link("https://example.com/?a=1&amp;b=2", "a *label*"),
    "<https://example.com>": link("https://example.com/", "https://example.com"),
    "see https://example.com/x_y_z, ok": f"see {link('https://example.com/x_y_z', 'https://example.com/x_y_z')}, ok",
    "*https://example.com*": f"<strong>{link('https://example.com/', 'https://example.com')}</strong>",
    "<mailto:a@example.com|write>": "&lt;mailto:a@example.com|write&gt;",
    "<script>": "&lt;script&gt;",
    "<@U0BEN000001> <@U0ANN000001>": ('<span class="mention">@Ben</span> <span class="mention mention-me">@Ann</span>'),
    "<@U404|who> <#C0GENERAL01> <#C404|gone>": (
        '<span class="mention">@who</span> <span class="mention">#general</span> <span class="mention">#gone</span>'
    ),
    "<!here> <!channel|channel> <!subteam^S1|@team> <!what>": (
        '<span class="mention mention-me">@here</span> <span class="mention mention-me">@channel</span> '
        '<span class="mention">@team</span> &lt;!what&gt;'
    ),
    ":not_an_emoji: 10:30:45": ":not_an_emoji: 10:30:45",
}

BLOCKS = {
    "a\n&gt; b\n> c\nd": (
        '<div class="paragraph">a</div><blockquote>b<br>c</blockquote><div class="paragraph">d</div>'
    ),
    "&gt;&gt;&gt; a\nb": "<blockquote>a<br>b</blockquote>",
    "a\n```\n*b*\n<https://x.test|c>\n```\nd": (
        '<div class="paragraph">a</div><pre class="code-block"><code>*b*\nc</code></pre><div class="paragraph">d</div>'
    ),
    "```open": "```open",
}

DATES = {
    "{date_num}": "2026-06-01",
    "{date}": "June 1st, 2026",
    "{date_short}": "Jun 1, 2026",
    "{date_long}": "Monday, June 1st, 2026",
    "{date_long_full}": "June 1st, 2026",
    "{date_slash}": "01/06/2026",
    "{date_pretty}": "June 1st, 2026",
    "{date_short_pretty} {time}": "Jun 1, 2026 15:00",
    "{date_long_pretty}": "Monday, June 1st, 2026",
    "{day_divider_pretty}": "Monday, June 1st",
    "on {date_num} at {time_secs}": "on 2026-06-01 at 15:00:00",
    "{ago}": "2 days ago",
    "{what}": "{what}",
}


@pytest.mark.parametrize(("text", "html"), [*FORMATS.items(), *BLOCKS.items()])
async def test_mrkdwn_is_rendered_as_in_slack(drawing: Drawing, text: str, html: str) -> None:
    assert await drawing.mrkdwn(text) == html


async def test_verbatim_text_links_only_marked_up_urls(drawing: Drawing) -> None:
    drawn = await drawing.mrkdwn("https://a.test <https://b.test|b>", verbatim=True)

    assert drawn == f"https://a.test {link('https://b.test/', 'b')}"


async def test_emoji_are_rendered_with_a_name(drawing: Drawing) -> None:
    drawn = await drawing.mrkdwn(":red_circle: :tada:")

    assert '<img class="emoji" src="/static/emoji/red_circle.svg" alt=":red_circle:"' in drawn
    assert 'role="img" aria-label="tada"' in drawn


@pytest.mark.parametrize(("tokens", "rendered"), DATES.items())
async def test_dates_are_in_the_readers_zone(drawing: Drawing, tokens: str, rendered: str) -> None:
    drawn = await drawing.mrkdwn(f"<!date^{NOW - 2 * 86_400}^{tokens}|fallback>")

    assert f">{rendered}</time>" in drawn


@pytest.mark.parametrize(("hours", "rendered"), [(-24, "Yesterday"), (0, "Today"), (8.9, "Today"), (9.1, "Tomorrow")])
async def test_nearby_days_have_names(drawing: Drawing, hours: float, rendered: str) -> None:
    """The day ends at the reader's midnight, which in London's summer is 23:00 UTC."""
    drawn = await drawing.mrkdwn(f"<!date^{NOW + int(hours * 3_600)}^{{date_short_pretty}}|fallback>")

    assert f">{rendered}</time>" in drawn


async def test_date_can_be_a_link_and_falls_back_to_its_text(drawing: Drawing) -> None:
    linked = await drawing.mrkdwn(f"<!date^{NOW}^{{date}}^https://example.com/|x>")
    broken = await drawing.mrkdwn("<!date^soon^{date}|2026-06-03 &lt;10:00&gt; UTC>")

    assert linked.startswith(f'<a href="https://example.com/" {LEAVING}><time')
    assert broken == "<time>2026-06-03 &lt;10:00&gt; UTC</time>"


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
async def test_hostile_text_stays_text_and_renders_quickly(drawing: Drawing, text: str) -> None:
    began = time.monotonic()
    await drawing.mrkdwn(text.encode("utf-8", "replace").decode())

    assert time.monotonic() - began < 10
    await assert_harmless(drawing)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    pieces=st.lists(st.sampled_from([*HOSTILE[:22], *FORMATS, *BLOCKS, "*", "_", "~", "`", "<", ">", "|", "\n", "x"]))
)
async def test_any_mixture_of_formats_and_attacks_is_harmless(drawing: Drawing, pieces: list[str]) -> None:
    await drawing.mrkdwn("".join(pieces))

    await assert_harmless(drawing)


async def test_announced_text_has_no_markup(drawing: Drawing) -> None:
    """For the live region."""
    rendered = await drawing.plain(":red_circle: *Name* is live\n<https://example.com|Watch> <@U0BEN000001>")

    assert rendered == "Name is live Watch @Ben"


async def assert_harmless(drawing: Drawing) -> None:
    found = await drawing.page.evaluate("""() => {
        const every = [...document.body.querySelectorAll("*")];
        const addresses = every.flatMap((e) => e.href ?? e.src ?? []);
        return {
            tags: [...new Set(every.map((e) => e.localName))],
            schemes: addresses.map((address) => new URL(address).protocol),
            handlers: every.flatMap((e) => e.getAttributeNames()).filter((name) => name.startsWith("on")),
            broken: window.broken ?? null,
        };
    }""")
    tags = {"div", "blockquote", "pre", "code", "br", "strong", "em", "s", "a", "span", "time", "img"}
    assert set(found["tags"]) <= tags
    assert set(found["schemes"]) <= {"http:", "https:"}
    assert found["handlers"] == []
    assert found["broken"] is None
