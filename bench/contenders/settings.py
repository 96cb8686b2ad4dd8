"""The settings of every contender: the same environment variables as the bot's."""

import os
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Settings:
    """The port, the APIs' addresses and the secrets."""

    port: int
    signing_secret: str
    bot_token: str
    slack_api_url: str
    cloudflare_api_token: str
    cloudflare_base_url: str
    account_id: str
    app_id: str

    @property
    def app_url(self) -> str:
        """The base URL of the RealtimeKit app in Cloudflare's API."""
        return f"{self.cloudflare_base_url}/accounts/{self.account_id}/realtime/kit/{self.app_id}"


def from_environment() -> Settings:
    """Read the settings from the environment. Raises KeyError if one is missing."""
    return Settings(
        port=int(os.environ["PORT"]),
        signing_secret=os.environ["SLACK_SIGNING_SECRET"],
        bot_token=os.environ["SLACK_BOT_TOKEN"],
        slack_api_url=os.environ["SLACK_API_URL"],
        cloudflare_api_token=os.environ["CLOUDFLARE_API_TOKEN"],
        cloudflare_base_url=os.environ["CLOUDFLARE_BASE_URL"],
        account_id=os.environ["CLOUDFLARE_ACCOUNT_ID"],
        app_id=os.environ["REALTIMEKIT_APP_ID"],
    )
