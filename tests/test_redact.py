"""Passwords are hidden wherever a database address may hold one."""

from __future__ import annotations

import pytest

from marketnn.redact import holds_password, redact


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("postgresql://u:hush@h/d", "postgresql://u:***@h/d"),
        ("postgresql://u:hu/sh@h/d", "postgresql://u:***@h/d"),
        ("postgresql://u:hu@sh@h/d", "postgresql://u:***@h/d"),
        ("mysql+driver://u:hush@h/d?charset=utf8", "mysql+driver://u:***@h/d?charset=utf8"),
        ("postgresql://h/d?user=u&password=hush&x=1", "postgresql://h/d?user=u&password=***&x=1"),
        ("marketnn 'data.url=a://u:hush@h' data.query=x", "marketnn 'data.url=a://u:***@h' data.query=x"),
    ],
)
def test_passwords_are_hidden(text: str, hidden: str) -> None:
    assert redact(text) == hidden
    assert holds_password(text)


@pytest.mark.parametrize(
    "text", ["sqlite:///c.db", "postgresql://u@h/d", "http://host:80/x", "${oc.env:DB}", "a:b@c", ""]
)
def test_other_text_stays(text: str) -> None:
    assert redact(text) == text
    assert not holds_password(text)
