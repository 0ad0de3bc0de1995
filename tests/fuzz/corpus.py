"""Event packets as real servers sent them, by transaction: the fuzzer's material. ``record.py`` makes the files."""

from __future__ import annotations

from pathlib import Path

import msgspec

from syncer.binlog.layout import Flavor
from syncer.core.position import StreamPosition
from syncer.core.schema import TableSchema

FOLDER = Path(__file__).parent / "corpus"


class Scenario(msgspec.Struct, frozen=True):
    """Packets (hexadecimal, with the leading OK byte) from the head of a transaction to its end, or between two."""

    name: str
    packets: tuple[str, ...]

    def raw(self) -> list[bytes]:
        """Give the packets."""
        return [bytes.fromhex(packet) for packet in self.packets]


class Corpus(msgspec.Struct, frozen=True):
    """
    What one server sent.

    Attributes:
        server: its version.
        position: where the stream began.
        schemas: the tables in scope; a table's id is its place here, from 1.
        head: the packets in front of the first transaction, with the format description.
    """

    server: str
    flavor: Flavor
    position: StreamPosition
    schemas: tuple[TableSchema, ...]
    head: tuple[str, ...]
    scenarios: tuple[Scenario, ...]


def load() -> list[Corpus]:
    """Give the recorded corpora, one per flavour."""
    files = sorted(FOLDER.glob("*.json"))
    return [msgspec.json.decode(file.read_bytes(), type=Corpus) for file in files]


def save(corpus: Corpus) -> Path:
    """Write the file of its flavour."""
    FOLDER.mkdir(exist_ok=True)
    path = FOLDER / f"{corpus.flavor}.json"
    path.write_bytes(msgspec.json.format(msgspec.json.encode(corpus), indent=1) + b"\n")
    return path
