"""Rows as text: a row image is the comma-separated list of SQL literals that the source server rendered."""

from __future__ import annotations

import re
from decimal import Decimal

_OUTSIDE = re.compile(r"""['"(),]""")
_INSIDE = {quote: re.compile(rf"[{quote}\\]") for quote in "'\""}
"""What ends a text that *quote* began, or takes the meaning of the next character."""
_SPECIAL = re.compile(r"""["(\\]""")
_LITERAL = re.compile(r"(?:\A|,)((?:[^,']+|'[^']*')*)")
"""A literal of an image without anything special: bare text and texts in quotes, a doubled quote being the end of one and the begin of another."""


def split_image(image: str) -> list[str]:
    r"""
    Split ``1,'it\'s',NULL`` into its literals.

    Commas inside quotes and parentheses do not split. Both ways to escape a quote are understood.
    """
    if not _SPECIAL.search(image):
        return _LITERAL.findall(image)
    parts: list[str] = []
    start = 0
    depth = 0
    at = 0
    told = _OUTSIDE
    # From one character that means something to the next: a value may be many megabytes long.
    while found := told.search(image, at):
        char, at = found[0], found.end()
        if told is not _OUTSIDE:
            if char == "\\":
                at += 1
            else:
                told = _OUTSIDE
        elif char in _INSIDE:
            told = _INSIDE[char]
        elif char == "(":
            depth += 1
        elif char == ")":
            depth -= 1
        elif depth == 0:
            parts.append(image[start : at - 1])
            start = at
    parts.append(image[start:])
    return parts


_UNESCAPED = {"n": "\n", "r": "\r", "t": "\t", "0": "\0", "Z": "\x1a", "b": "\b"}


def literal_value(text: str) -> str | None:
    r"""
    Return what a literal says, as text: ``'it\'s'`` is ``it's``, ``12`` is ``12``; None for NULL.

    A literal of another form (bytes in hex, a call) is returned as it is written.
    """
    if text == "NULL":
        return None
    if len(text) < 2 or text[0] != "'" or text[-1] != "'":
        return text
    found: list[str] = []
    at, end = 1, len(text) - 1
    while at < end:
        char = text[at]
        if char == "\\" and at + 1 < end:
            at += 1
            found.append(_UNESCAPED.get(text[at], text[at]))
        else:
            if char == "'" and text[at + 1 : at + 2] == "'" and at + 1 < end:
                at += 1
            found.append(char)
        at += 1
    return "".join(found)


_WHOLE = re.compile(r"-?\d+\Z")
_FRACTION = re.compile(r"-?\d*\.\d+\Z")
_BYTES = re.compile(r"(?:_\w+ )?X'([0-9A-Fa-f]*)'\Z")

Value = int | Decimal | str | bytes | None


def value_of(literal: str) -> Value:
    """
    Return what a literal of an image stands for: a whole number, a DECIMAL, a text (dates and floats too), bytes, or None.

    The few floats that have no exact text come as the expression that they are written by.
    """
    if literal == "NULL" or literal.startswith("'"):
        return literal_value(literal)
    if _WHOLE.match(literal):
        return int(literal)
    if _FRACTION.match(literal):
        return Decimal(literal)
    found = _BYTES.match(literal)
    return bytes.fromhex(found[1]) if found else literal
