"""The page's static files and their media types."""

import re
from pathlib import Path

from starlette.responses import FileResponse, Response

from sandbox.page.refused import Refused

FOLDER = Path(__file__).parent / "static"

# Not the system's table of media types: on some machines it maps scripts to text/plain, and browsers won't run them.
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml; charset=utf-8",
    ".woff2": "font/woff2",
}
# No part may begin with a dot, so that no name leads out of the folder or to a hidden file.
_NAME = re.compile(r"([A-Za-z0-9_-][A-Za-z0-9_.-]*/)*[A-Za-z0-9_-][A-Za-z0-9_.-]*")


def asset(name: str, folder: Path = FOLDER) -> Response:
    """Return the file of that name in the folder. Raises Refused 404 for anything else."""
    path = folder / name
    media_type = _TYPES.get(path.suffix)
    if media_type is None or not _NAME.fullmatch(name) or not path.is_file():
        raise Refused(404, "There is no such file.")
    return FileResponse(path, media_type=media_type, headers={"cache-control": "no-cache"})
