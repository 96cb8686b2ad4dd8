"""No stream key leaves the parser: anyone who has it can broadcast in the host's name."""

import io
from uuid import UUID

import aiohttp

from bot.livestream_sources import open_realtimekit
from bot.realtimekit.models import Livestream
from bot.slack.messages import lookup_card
from sandbox.realtimekit import SEEDS, Fault, Shape, seeds
from tests.conftest import World


async def test_nothing_sent_logged_or_counted_contains_a_secret(connected: World, log: io.StringIO) -> None:
    for seed in SEEDS:
        answer = await connected.ask(seed.id)
        await connected.slack.click(answer, lookup_card.REFRESH)
    posted = await connected.ask(seeds.LIVE)
    await connected.slack.click(posted, lookup_card.POST_HERE)
    for fault in (Fault.SERVER_ERROR, Fault.HALF, Fault.UNAUTHORIZED, Fault.HTML):
        connected.kit.fault = fault
        await connected.ask(seeds.LIVE)
    connected.kit.fault = Fault.NONE
    for shape in Shape:
        connected.kit.change(seeds.LIVE, shape=shape)
        await connected.ask(seeds.LIVE)
    await connected.idle()
    async with aiohttp.ClientSession() as session, session.get(f"{connected.bot_url}/metrics") as response:
        emitted = [await response.text(), log.getvalue(), *(sent.body for sent in connected.slack.sent)]

    assert connected.kit.secrets
    assert len(connected.slack.sent) > len(SEEDS)
    for secret in connected.kit.secrets:
        assert all(secret not in text for text in emitted)
    for secret in (connected.kit.api_token, connected.slack.credentials.bot_token):
        assert all(secret not in text for text in emitted)


async def test_repr_and_dump_of_a_livestream_contain_no_secret(world: World) -> None:
    kit = open_realtimekit(world.settings())
    livestreams = [await kit.active_livestream(seed_id) for seed_id in map(UUID, (seeds.LIVE, seeds.ERRORED))]
    await kit.close()

    for livestream in livestreams:
        assert isinstance(livestream, Livestream)
        shown = repr(livestream) + str(livestream.model_dump()) + repr(vars(livestream))
        assert all(secret not in shown for secret in world.kit.secrets)
