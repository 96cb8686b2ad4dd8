"""The files of the page: which there are, and what a browser is told that they are."""

import re
from pathlib import Path

from starlette.responses import FileResponse, Response

from bot.sandbox.page.refused import Refused

FOLDER = Path(__file__).parent / "static"

# Not the machine's table of types: on some machines that says text/plain for a script, which no browser then runs.
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml; charset=utf-8",
    ".woff2": "font/woff2",
}
# No part begins with a dot, so none leads out of the folder or to a hidden file.
_NAME = re.compile(r"([A-Za-z0-9_-][A-Za-z0-9_.-]*/)*[A-Za-z0-9_-][A-Za-z0-9_.-]*")


def asset(name: str, folder: Path = FOLDER) -> Response:
    """The file of that name in the folder. Raises Refused 404 for anything else."""
    path = folder / name
    media_type = _TYPES.get(path.suffix)
    if media_type is None or not _NAME.fullmatch(name) or not path.is_file():
        raise Refused(404, "There is no such file.")
    return FileResponse(path, media_type=media_type, headers={"cache-control": "no-cache"})
