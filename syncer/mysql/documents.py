"""
JSON compared by value where one side is MySQL and the other MariaDB. Pure.

MySQL keeps a document in a normal form of its own, MariaDB keeps the text as written, and neither can render the other's form in
SQL. So the row's digest is made of everything else by the server, and of the documents here. Where the texts are equal, which is
how a document that came from MySQL lies on MariaDB, the chunk's digest says so and no document is read.

Never equal by mistake: numbers keep every digit, whole ones that both flavours hold as such stay apart from others, and a
document that says a name twice, of which each flavour would drop another value, keeps both.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, NoReturn

from syncer.core.schema import Column
from syncer.mysql.columns import json_text, quote_name
from syncer.mysql.digests import row_digest
from syncer.mysql.flavor import Flavor

TOO_LARGE = ""
"""What is selected for a document that its server cannot make the text of; no document's text is empty."""
_DIGEST_CHARACTERS = 32
_WHOLE = range(-(1 << 63), 1 << 64)
"""MySQL stores whole numbers beyond these as DOUBLE."""
_WHOLE_DIGITS = 20


def split(columns: Sequence[Column]) -> tuple[list[Column], list[Column]]:
    """Return the columns that the server digests, and the documents that are read."""
    documents = [column for column in columns if column.by_value and column.data_type == "json"]
    return [column for column in columns if column not in documents], documents


def digest_select(columns: Sequence[Column], flavor: Flavor | None = None) -> list[str]:
    """Return the expressions to select for a row's digest: the server's part, then each document."""
    plain, documents = split(columns)
    return [row_digest(plain, flavor), *(_document(column) for column in documents)]


def _document(column: Column) -> str:
    return f"IF({quote_name(column.name)} IS NULL,NULL,IFNULL({json_text(column)},'{TOO_LARGE}'))"


def read_digest(cells: Sequence[object]) -> str | None:
    """Make the digest of what ``digest_select`` gave; None where the server had none, or no text of a document."""
    first = cells[0]
    if first is None:
        return None
    digest = first.decode() if isinstance(first, bytes) else str(first)
    if len(cells) == 1:
        return digest
    whole = hashlib.sha256(digest.encode())
    for cell in cells[1:]:
        text = cell.decode("utf-8", "surrogateescape") if isinstance(cell, bytes) else cell
        if text == TOO_LARGE:
            return None
        form = "~" if text is None else normal(str(text))
        whole.update(hashlib.sha256(form.encode("utf-8", "surrogatepass")).digest())
    return whole.hexdigest()[:_DIGEST_CHARACTERS]


def normal(text: str) -> str:
    """
    Return a text that is equal for equal documents and for no others.

    What is no JSON (MariaDB lets it in where its check is off) is equal to nothing but itself.
    """
    try:
        value = _DECODER.decode(text)
    except (ValueError, ArithmeticError, RecursionError):
        return "?" + text
    return "".join(_parts(value))


class _Number(str):
    """A number's normal form."""

    __slots__ = ()


class _Members(list[tuple[str, Any]]):
    """An object's members as written, repeated names included."""


def _whole(text: str) -> _Number:
    if len(text) <= _WHOLE_DIGITS and int(text) in _WHOLE:
        return _Number(int(text))
    return _real(text)


def _real(text: str) -> _Number:
    """Exact, whatever the number of digits; never equal to the form of a whole number."""
    sign, digits, exponent = Decimal(text).as_tuple()
    shown = "".join(map(str, digits)).lstrip("0")
    kept = shown.rstrip("0")
    if not kept or not isinstance(exponent, int):
        return _Number("-0e" if sign else "0e")
    return _Number(f"{'-' if sign else ''}{kept}e{exponent + len(shown) - len(kept)}")


def _refuse(text: str) -> NoReturn:
    raise ValueError(text)


_DECODER = json.JSONDecoder(
    object_pairs_hook=_Members,
    parse_int=_whole,
    parse_float=_real,
    parse_constant=_refuse,
    strict=False,
)


def _parts(value: Any) -> list[str]:
    if isinstance(value, _Number):
        return [value]
    if isinstance(value, _Members):
        # Members of one name stay in the order written: which of them counts hangs on it.
        found = ["{"]
        for name, part in sorted(value, key=lambda member: member[0]):
            found += [json.dumps(name), ":", *_parts(part), ","]
        return [*found, "}"]
    if isinstance(value, list):
        found = ["["]
        for part in value:
            found += [*_parts(part), ","]
        return [*found, "]"]
    return [json.dumps(value)]
