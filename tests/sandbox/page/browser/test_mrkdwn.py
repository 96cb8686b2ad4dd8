"""Slack's mrkdwn becomes elements, and nothing but text comes of anything else."""

import random

import pytest

from tests.sandbox.page.browser.drawing import NOW, Drawing
from tests.sandbox.page.browser.hostile import ATTACKS, FLOODS

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
    ("{date_num}", -48): "2026-06-01",
    ("{date}", -48): "June 1st, 2026",
    ("{date_short}", -48): "Jun 1, 2026",
    ("{date_long}", -48): "Monday, June 1st, 2026",
    ("{date_long_full}", -48): "June 1st, 2026",
    ("{date_slash}", -48): "01/06/2026",
    ("{date_pretty}", -48): "June 1st, 2026",
    ("{date_short_pretty} {time}", -48): "Jun 1, 2026 15:00",
    ("{date_long_pretty}", -48): "Monday, June 1st, 2026",
    ("{day_divider_pretty}", -48): "Monday, June 1st",
    ("on {date_num} at {time_secs}", -48): "on 2026-06-01 at 15:00:00",
    ("{ago}", -48): "2 days ago",
    ("{what}", -48): "{what}",
    ("{date_short_pretty}", -24): "Yesterday",
    ("{date_short_pretty}", 0): "Today",
    ("{date_short_pretty}", 8.9): "Today",
    ("{date_short_pretty}", 9.1): "Tomorrow",
}
"""Return how tokens are rendered for a time that is this many hours from now."""


async def test_mrkdwn_is_rendered_as_in_slack(drawing: Drawing) -> None:
    assert await drawing.mrkdwn(*FORMATS) == FORMATS


async def test_verbatim_text_links_only_marked_up_urls(drawing: Drawing) -> None:
    text = "https://a.test <https://b.test|b>"

    assert await drawing.mrkdwn(text, verbatim=True) == {text: f"https://a.test {link('https://b.test/', 'b')}"}


async def test_emoji_are_rendered_with_a_name(drawing: Drawing) -> None:
    [drawn] = (await drawing.mrkdwn(":red_circle: :tada:")).values()

    assert '<img class="emoji" src="/static/emoji/red_circle.svg" alt=":red_circle:"' in drawn
    assert 'role="img" aria-label="tada"' in drawn


async def test_dates_are_in_the_readers_zone_and_nearby_days_have_names(drawing: Drawing) -> None:
    """The day ends at the reader's midnight, which in London's summer is 23:00 UTC."""
    drawn = await drawing.mrkdwn(*(f"<!date^{NOW + hours * 3_600:.0f}^{tokens}|fallback>" for tokens, hours in DATES))

    assert [html.partition(">")[2].removesuffix("</time>") for html in drawn.values()] == [*DATES.values()]


async def test_date_can_be_a_link_and_falls_back_to_its_text(drawing: Drawing) -> None:
    linked, broken = (
        f"<!date^{NOW}^{{date}}^https://example.com/|x>",
        "<!date^soon^{date}|2026-06-03 &lt;10:00&gt; UTC>",
    )
    drawn = await drawing.mrkdwn(linked, broken)

    assert drawn[linked].startswith(f'<a href="https://example.com/" {LEAVING}><time')
    assert drawn[broken] == "<time>2026-06-03 &lt;10:00&gt; UTC</time>"


async def test_hostile_text_stays_text_and_renders_quickly(drawing: Drawing) -> None:
    assert await drawing.harm([*ATTACKS, *FLOODS]) == []


async def test_any_mixture_of_formats_and_attacks_is_harmless(drawing: Drawing) -> None:
    dice, pieces = random.Random(1), [*ATTACKS, *FORMATS, "*", "_", "~", "`", "<", ">", "|", "\n", "x"]

    assert await drawing.harm("".join(dice.choices(pieces, k=dice.randint(1, 12))) for _ in range(500)) == []


async def test_announced_text_has_no_markup(drawing: Drawing) -> None:
    """For the live region."""
    text = ":red_circle: *Name* is live\n<https://example.com|Watch> <@U0BEN000001>"

    assert await drawing.page.evaluate("plain", text) == "Name is live Watch @Ben"
