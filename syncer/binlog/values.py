"""
Key values as they lie in a row image, turned into the scalars of ``core/key.py``.

Every reader is ``read(data, at) -> scalar`` and knows its width from the table map. No walking here, see ``rowimage.py``.
"""

from __future__ import annotations

import codecs
import struct
from collections.abc import Callable

from syncer.core.key import Scalar
from syncer.core.schema import Column

FixedReader = Callable[[bytes, int], Scalar]
TextDecoder = Callable[[bytes], Scalar]

_DIGITS_TO_BYTES = (0, 1, 1, 2, 2, 3, 3, 4, 4, 4)
_ZERO_TIMESTAMP = "0000-00-00 00:00:00"
_SIZES = {1: "b", 2: "h", 4: "i", 8: "q"}
_INT24 = 3

# MySQL's latin1 is cp1252 whose five holes are C1 control characters.
_LATIN1 = "".join(
    bytes([code]).decode("cp1252") if code not in {0x81, 0x8D, 0x8F, 0x90, 0x9D} else chr(code)
    for code in range(256)
)

_SPACES = {"ucs2": b"\0 ", "utf16": b"\0 ", "utf16le": b" \0", "utf32": b"\0\0\0 "}
_BYTES_PER_CHARACTER = {
    "utf8mb4": 4,
    "utf8mb3": 3,
    "utf8": 3,
    "ucs2": 2,
    **dict.fromkeys(("big5", "cp932", "euckr", "gb2312", "gbk", "sjis"), 2),
    **dict.fromkeys(("eucjpms", "ujis"), 3),
    "gb18030": 4,
    "utf16": 4,
    "utf16le": 4,
    "utf32": 4,
}


def text_decoder(column: Column) -> TextDecoder:
    """Return the decoder of a text column, or of bytes; CHAR has no trailing spaces."""
    if column.raw_text:
        return _without_spaces(column.charset) if column.data_type == "char" else bytes
    if column.charset is None or column.charset == "binary":
        return bytes
    strip = " " if column.data_type == "char" else ""
    if column.charset == "latin1":
        return lambda data: codecs.charmap_decode(data, "strict", _LATIN1)[0].rstrip(strip)
    return lambda data: data.decode("utf-8").rstrip(strip)


def _without_spaces(charset: str | None) -> TextDecoder:
    space = _SPACES.get(charset or "", b" ")
    width = len(space)

    def strip(data: bytes) -> bytes:
        end = len(data)
        while end and data[end - width : end] == space:
            end -= width
        return bytes(data[:end])

    return strip


def bytes_per_character(charset: str | None) -> int:
    """Return the most bytes a character takes; 1 where no set of more bytes has that name."""
    return _BYTES_PER_CHARACTER.get(charset or "binary", 1)


def integer_reader(size: int, *, unsigned: bool) -> FixedReader:
    """Read a little-endian integer of 1, 2, 3, 4 or 8 bytes."""
    if size == _INT24:

        def read_int24(data: bytes, at: int) -> int:
            value = data[at] | data[at + 1] << 8 | data[at + 2] << 16
            return value if unsigned or value < 0x800000 else value - 0x1000000

        return read_int24
    code = _SIZES[size]
    unpack = struct.Struct("<" + (code.upper() if unsigned else code)).unpack_from

    def read_integer(data: bytes, at: int) -> int:
        value: int = unpack(data, at)[0]
        return value

    return read_integer


def read_year(data: bytes, at: int) -> int:
    """YEAR: one byte, 0 for 0000."""
    return 1900 + data[at] if data[at] else 0


def read_date(data: bytes, at: int) -> str:
    """DATE: three bytes, day in the low five bits, month in the next four."""
    value = data[at] | data[at + 1] << 8 | data[at + 2] << 16
    return f"{value >> 9:04d}-{value >> 5 & 15:02d}-{value & 31:02d}"


def big_endian_reader(width: int) -> FixedReader:
    """BIT: big-endian."""
    return lambda data, at: int.from_bytes(data[at : at + width], "big")


def fraction_bytes(fraction: int) -> int:
    """Bytes that *fraction* digits take behind a temporal value."""
    return (fraction + 1) // 2


def _fraction_text(micro: int, fraction: int) -> str:
    return f".{micro:06d}"[: fraction + 1] if fraction else ""


def _micro(data: bytes, at: int, fraction: int) -> int:
    width = fraction_bytes(fraction)
    scale: int = 10 ** (6 - 2 * width)
    return int.from_bytes(data[at : at + width], "big") * scale


def datetime2_reader(fraction: int) -> FixedReader:
    """DATETIME: five bytes big-endian, packed year and month, day, hour, minute, second, then the fraction."""

    def read(data: bytes, at: int) -> str:
        packed = int.from_bytes(data[at : at + 5], "big") - 0x8000000000
        days, clock = packed >> 17, packed & 0x1FFFF
        months = days >> 5
        text = (
            f"{months // 13:04d}-{months % 13:02d}-{days & 31:02d} "
            f"{clock >> 12:02d}:{clock >> 6 & 63:02d}:{clock & 63:02d}"
        )
        return text + _fraction_text(_micro(data, at + 5, fraction), fraction)

    return read


def _civil(seconds: int) -> str:
    """Text of a UTC time given in seconds since the epoch (0 and later, up to the year 2106)."""
    days, clock = divmod(seconds, 86400)
    days += 719468
    era, day_of_era = divmod(days, 146097)
    year_of_era = (
        day_of_era - day_of_era // 1460 + day_of_era // 36524 - day_of_era // 146096
    ) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    month_index = (5 * day_of_year + 2) // 153
    day = day_of_year - (153 * month_index + 2) // 5 + 1
    month = month_index + 3 if month_index < 10 else month_index - 9
    year = year_of_era + era * 400 + (month <= 2)
    return f"{year:04d}-{month:02d}-{day:02d} {clock // 3600:02d}:{clock // 60 % 60:02d}:{clock % 60:02d}"


def timestamp2_reader(fraction: int) -> FixedReader:
    """TIMESTAMP: four bytes big-endian seconds since the epoch, then the fraction; the text is in UTC."""

    def read(data: bytes, at: int) -> str:
        seconds = int.from_bytes(data[at : at + 4], "big")
        micro = _micro(data, at + 4, fraction)
        text = _civil(seconds) if seconds or micro else _ZERO_TIMESTAMP
        return text + _fraction_text(micro, fraction)

    return read


def read_timestamp(data: bytes, at: int) -> str:
    """TIMESTAMP of the old format: four bytes little-endian."""
    seconds = int.from_bytes(data[at : at + 4], "little")
    return _civil(seconds) if seconds else _ZERO_TIMESTAMP


def time2_reader(fraction: int) -> FixedReader:
    """TIME: three bytes big-endian and the fraction, together one biased number."""
    width = fraction_bytes(fraction)
    bias = 0x800000 << 8 * width

    def read(data: bytes, at: int) -> str:
        packed = int.from_bytes(data[at : at + 3 + width], "big") - bias
        sign = "-" if packed < 0 else ""
        packed = abs(packed)
        clock = packed >> 8 * width
        micro = (packed & (1 << 8 * width) - 1) * 10 ** (6 - 2 * width)
        text = f"{sign}{clock >> 12 & 0x3FF:02d}:{clock >> 6 & 63:02d}:{clock & 63:02d}"
        return text + _fraction_text(micro, fraction)

    return read


def read_time(data: bytes, at: int) -> str:
    """TIME of the old format: three bytes, the decimal number HHMMSS with a sign."""
    value = int.from_bytes(data[at : at + 3], "little", signed=True)
    sign, value = ("-", -value) if value < 0 else ("", value)
    return f"{sign}{value // 10000:02d}:{value // 100 % 100:02d}:{value % 100:02d}"


def read_datetime(data: bytes, at: int) -> str:
    """DATETIME of the old format: eight bytes, the decimal number YYYYMMDDHHMMSS."""
    text = f"{int.from_bytes(data[at : at + 8], 'little'):014d}"
    return f"{text[:4]}-{text[4:6]}-{text[6:8]} {text[8:10]}:{text[10:12]}:{text[12:14]}"


def decimal_bytes(precision: int, scale: int) -> int:
    """Width of a DECIMAL in a row image."""
    whole, whole_rest = divmod(precision - scale, 9)
    part, part_rest = divmod(scale, 9)
    return whole * 4 + _DIGITS_TO_BYTES[whole_rest] + part * 4 + _DIGITS_TO_BYTES[part_rest]


def decimal_reader(precision: int, scale: int) -> FixedReader:
    """DECIMAL: groups of nine digits, the first bit inverted, all bits inverted for negative values."""
    whole, whole_rest = divmod(precision - scale, 9)
    part, part_rest = divmod(scale, 9)
    width = decimal_bytes(precision, scale)
    groups = [(_DIGITS_TO_BYTES[whole_rest], whole_rest)] if whole_rest else []
    groups += [(4, 9)] * (whole + part)
    groups += [(_DIGITS_TO_BYTES[part_rest], part_rest)] if part_rest else []

    def read(data: bytes, at: int) -> str:
        raw = bytearray(data[at : at + width])
        negative = not raw[0] & 0x80
        raw[0] ^= 0x80
        if negative:
            raw = bytearray(byte ^ 0xFF for byte in raw)
        digits, place = "", 0
        for size, count in groups:
            digits += f"{int.from_bytes(raw[place : place + size], 'big'):0{count}d}"
            place += size
        integral = digits[: precision - scale].lstrip("0") or "0"
        text = f"{integral}.{digits[precision - scale :]}" if scale else integral
        return f"-{text}" if negative and digits.strip("0") else text

    return read


def enum_reader(column: Column, width: int) -> FixedReader:
    """ENUM: the member's number from 1; 0 is the empty text of an invalid value."""
    members = ("", *column.members)
    return lambda data, at: members[int.from_bytes(data[at : at + width], "little")]


def set_reader(column: Column, width: int) -> FixedReader:
    """SET: one bit per member."""

    def read(data: bytes, at: int) -> str:
        bits = int.from_bytes(data[at : at + width], "little")
        return ",".join(
            member for at_bit, member in enumerate(column.members) if bits >> at_bit & 1
        )

    return read
