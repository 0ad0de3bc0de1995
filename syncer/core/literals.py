"""Rows as text: a row image is the comma-separated list of SQL literals that the source server rendered."""

from __future__ import annotations


def split_image(image: str) -> list[str]:
    r"""
    Split ``1,'it\'s',NULL`` into its literals.

    Commas inside quotes and parentheses do not split. Both ways to escape a quote are understood.
    """
    parts: list[str] = []
    start = 0
    depth = 0
    quote = ""
    at = 0
    while at < len(image):
        char = image[at]
        if quote:
            if char == "\\":
                at += 1
            elif char == quote:
                quote = ""
        elif char in "'\"":
            quote = char
        elif char == "(":
            depth += 1
        elif char == ")":
            depth -= 1
        elif char == "," and depth == 0:
            parts.append(image[start:at])
            start = at + 1
        at += 1
    parts.append(image[start:])
    return parts
