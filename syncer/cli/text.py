"""Numbers and times as people read them."""

from __future__ import annotations

from datetime import UTC, datetime


def count(number: int) -> str:
    """Return a number with thin grouping: ``12,345``."""
    return f"{number:,}"


def short(number: float) -> str:
    """Return at most five characters: ``999``, ``12.3k``, ``1.2M``."""
    value = float(number)
    unit = ""
    for larger in ("k", "M", "G"):
        if abs(value) < 999.5:
            break
        value, unit = value / 1000, larger
    whole = not unit or abs(value) >= 99.95
    return f"{value:.0f}{unit}" if whole else f"{value:.1f}{unit}"


def duration(seconds: float | None) -> str:
    """Return a length of time: ``0.4 s``, ``42 s``, ``3:07``, ``2:03:07``, ``4d 02:03``; ``-`` for None."""
    if seconds is None:
        return "-"
    if seconds < 9.95:
        return f"{max(seconds, 0):.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    if hours == 0:
        return f"{minutes}:{rest:02}"
    days, hours = divmod(hours, 24)
    if days == 0:
        return f"{hours}:{minutes:02}:{rest:02}"
    return f"{days}d {hours:02}:{minutes:02}"


def milliseconds(value: float | None) -> str:
    """Return a latency: ``8 ms``, ``1.2 s``; ``-`` for None."""
    if value is None:
        return "-"
    return f"{value:.0f} ms" if value < 999.5 else duration(value / 1000)


def lag(seconds: float | None) -> str:
    """Return a distance behind: ``4 ms``, ``1.2 s``; ``-`` for None."""
    return milliseconds(None if seconds is None else 1000 * max(seconds, 0.0))


def skew(seconds: float | None, error_s: float | None) -> str:
    """Return how side b's clock differs from side a's: ``b +3 ms (±1 ms)``; ``-`` where it is not known."""
    if seconds is None or error_s is None:
        return "-"
    sign = "+" if seconds >= 0 else "-"
    return f"b {sign}{lag(abs(seconds))} (±{milliseconds(1000 * error_s)})"


def moment(epoch_s: float) -> str:
    """Return a point in time in UTC: ``2026-11-21 08:39:12Z``; what has no date is after the year 9999."""
    try:
        return datetime.fromtimestamp(epoch_s, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    except (ValueError, OverflowError, OSError):
        return "after 9999"


def moment_us(epoch_us: int) -> str:
    """Return a point in time in UTC with microseconds; ``-`` for 0."""
    if not epoch_us:
        return "-"
    return datetime.fromtimestamp(epoch_us / 1e6, UTC).strftime("%Y-%m-%d %H:%M:%S.%fZ")


def plural(number: int, noun: str) -> str:
    """Return ``1 row``, ``2 rows``."""
    return f"{count(number)} {noun}" if number == 1 else f"{count(number)} {noun}s"


def printable(value: str) -> str:
    """Return *value* with control characters spelt out, so that no row of a table steers the terminal."""
    if value.isprintable():
        return value
    return "".join(
        c if c.isprintable() or c == " " else c.encode("unicode_escape").decode() for c in value
    )
