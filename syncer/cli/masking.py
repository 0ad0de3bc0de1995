"""Takes passwords out of messages: what is typed in the wrong place is named in an error, and may be a URL or a DSN."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

MASK = "***"
_DONE = r"(?!\*{3}(?:@|$|\W))"
# One slash where the text was taken for a path.
_HEAD = r"[\w.+-]+:/{1,2}"
_PASSWORDS = (
    re.compile(rf"({_HEAD}[^\s:@]*:){_DONE}.*@", re.DOTALL),
    re.compile(rf"({_HEAD}[^\s:]*:){_DONE}\S*@"),  # an @ in the name of the user, too
)
_TO_THE_END = re.compile(rf"({_HEAD}[^\s:]*:).*@", re.DOTALL)
"""Of a value alone: behind its URL nothing else follows."""
_CUT = re.compile(
    rf"({_HEAD}[^\s:@]*:){_DONE}(?!\d+(?:[\"'),;:/\]\s]|$))\S+?(?=[\"'),;:\]]*(?:\s|$))"
)
"""A URL that was cut within its password; a number may be a port."""
_BARE = re.compile(rf"((?<![\w.+/%-])[\w.+%-]*:){_DONE}(?!/)[^\s\"'()]*@(?=[\w\[])")
"""``user:password@host``."""
_DSN = re.compile(r"\S*(?:^|(?<=[\s\"'(,=]))[hPuDtSFsA]=\S*")
_DSN_PIECE = re.compile(r"(?<=[\"']p=)[^\"']+(?=[\"'])")
_DSN_PASSWORD = re.compile(r"((?:^|(?<=[\"'(,=]))p=)(?:\\.|[^,\"')\\])+")


def masked(message: str, given: Sequence[str] = ()) -> str:
    """
    Return *message* with ``***`` in the place of what looks like the password of a URL or a DSN.

    Args:
        given: arguments of the command: where the message names one, its password is known to its end.
    """
    for argument in sorted(given, key=len, reverse=True):
        hidden = _hide(masked_url(argument))
        if hidden != argument:
            for shown in _SHOWN:
                message = message.replace(shown(argument), shown(hidden))
    return _hide(message)


_SHOWN = (str, lambda text: repr(text)[1:-1], lambda text: str(Path(text)))
"""How a message may show an argument."""


def masked_url(value: str) -> str:
    """Return a single *value* with the password of a URL masked, and nothing else: it may be a condition or a pattern."""
    return _without_urls(_TO_THE_END.sub(rf"\1{MASK}@", value))


def _without_urls(text: str) -> str:
    for pattern in _PASSWORDS:
        text = pattern.sub(rf"\1{MASK}@", text)
    return _CUT.sub(rf"\1{MASK}", text)


def _hide(text: str) -> str:
    text = _DSN_PIECE.sub(MASK, _BARE.sub(rf"\1{MASK}@", _without_urls(text)))
    return _DSN.sub(lambda found: _DSN_PASSWORD.sub(rf"\1{MASK}", found.group()), text)
