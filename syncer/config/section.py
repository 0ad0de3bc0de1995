"""What every section of the configuration is made of."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta


def described(description: str, example: str = "") -> Meta:
    """Describe a key of text, with an example where it has no telling default."""
    return Meta(description=description, examples=[example] if example else None)


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of all sections: an unknown key is an error, nothing is changed after loading."""


Rows = Annotated[int, Meta(ge=0, le=1_000_000_000_000)]
Percent = Annotated[float, Meta(ge=0, le=100)]
