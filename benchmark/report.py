"""Results as text: the table on the terminal, the page in docs/. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from benchmark.result import Result

HEAD = ("#", "work", "flavour", "ours", "peer", "unit", "ratio", "target", "met", "spread", "runs")
_LEFT = {1, 2, 5}


def number(value: float | None) -> str:
    """Three digits that matter, thousands apart."""
    if value is None:
        return "-"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def cells(result: Result) -> tuple[str, ...]:
    """The columns of one line."""
    what = f"{result.what}, {result.size}" if result.size else result.what
    return (
        str(result.id),
        what,
        result.flavour,
        number(result.ours),
        number(result.peer),
        result.unit,
        number(result.ratio),
        result.target,
        {True: "yes", False: "NO", None: "-"}[result.met],
        f"{result.spread:.0%}",
        str(result.runs),
    )


def table(results: Sequence[Result]) -> str:
    """The results for a terminal, notes below."""
    rows = [HEAD, *map(cells, results)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(
            cell.ljust(width) if at in _LEFT else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join([*lines, *notes(results)])


def markdown(results: Sequence[Result]) -> str:
    """The results for a page, notes below."""
    rows = [HEAD, ["---"] * len(HEAD), *map(cells, results)]
    lines = [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows]
    return "\n".join([*lines, "", *(f"- {note}" for note in notes(results))]).rstrip()


def notes(results: Sequence[Result]) -> list[str]:
    """What has to be said of single lines."""
    return [f"{r.id} {r.flavour}, {r.what}: {r.note}" for r in results if r.note]


def page(before: str, results: Sequence[Result], machine: Sequence[str]) -> str:
    """
    Put the results into the page, between its two comments.

    Raises ValueError where the page lacks them.
    """
    begin, end = "<!-- results -->", "<!-- end of results -->"
    head, found, rest = before.partition(begin)
    _, closed, tail = rest.partition(end)
    if not found or not closed:
        raise ValueError(f"the page lacks {begin} or {end}")
    facts = "\n".join(f"- {fact}" for fact in machine)
    return f"{head}{begin}\n{facts}\n\n{markdown(results)}\n{end}{tail}"
