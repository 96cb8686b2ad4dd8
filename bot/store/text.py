"""Values that both databases can store: text without NULs and lone surrogates, JSON without NaN and infinity.

This applies to all values that are written or searched for, in one place: where statements are sent to the database.
"""

import json
import math
from typing import Any


def clean(text: str) -> str:
    """Return the text without the characters that PostgreSQL rejects."""
    if text.isascii():
        return text.replace("\0", "") if "\0" in text else text
    return text.replace("\0", "").encode(errors="ignore").decode()


def clean_parameters(
    _connection: object, _cursor: object, statement: str, parameters: Any, _context: object, _executemany: object
) -> tuple[str, Any]:
    """Clean the strings in a statement's parameters; a listener for SQLAlchemy's before_cursor_execute."""
    return statement, _clean_all(parameters) if parameters else parameters


def dumps(value: Any) -> str:
    """Return the value as JSON that both databases accept. Raises ValueError if it is nested too deeply."""
    try:
        return json.dumps(_clean_json(value), allow_nan=False)
    except RecursionError:
        raise ValueError("This JSON is nested too deeply") from None


def _clean_all(parameters: Any) -> Any:
    if isinstance(parameters, str):
        return clean(parameters)
    if isinstance(parameters, list | tuple):
        return type(parameters)(map(_clean_all, parameters))
    if isinstance(parameters, dict):
        return {name: _clean_all(value) for name, value in parameters.items()}
    return parameters


def _clean_json(value: Any) -> Any:
    match value:
        case str():
            return clean(value)
        case float() if not math.isfinite(value):
            return None
        case dict():
            return {clean(str(name)): _clean_json(each) for name, each in value.items()}
        case list() | tuple():
            return [_clean_json(each) for each in value]
    return value
