"""Keep passwords out of what is printed and written."""

from __future__ import annotations

import re

_IN_ADDRESS = re.compile(r"(://[^:@/\s]*):\S*@")  # up to the last @: a password may hold @ and /
_IN_QUERY = re.compile(r"([?&;](?:password|passwd|pwd|sslpassword|token|secret|key)=)[^&;\s'\"]+", re.IGNORECASE)


def redact(text: str) -> str:
    """Replace the password of every database address in a text by ``***``."""
    return _IN_QUERY.sub(r"\1***", _IN_ADDRESS.sub(r"\1:***@", text))


def holds_password(text: str) -> bool:
    """Whether a text spells a password out."""
    return redact(text) != text
