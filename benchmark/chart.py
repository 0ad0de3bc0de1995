"""One picture of all lines that have a peer: how far above or below its target each ratio is. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from benchmark.result import Result

_LABEL, _PLOT, _RIGHT, _ROW, _TOP = 620, 320, 130, 22, 64
_DECADES = 2
_GOOD, _BAD = "#2e7d32", "#c62828"


def margin(result: Result) -> float | None:
    """How many times better than its target: 1 is just met, below 1 is missed; None where it has no ratio."""
    value = result.ours if result.ratio is None and result.peer is None else result.ratio
    least, _, target = result.target.partition(" ")
    if not value or result.met is None:
        return None
    return value / float(target) if least == ">=" else float(target) / value


def svg(results: Sequence[Result]) -> str:
    """Draw it: one bar per result from the target's line, to the right where it is better, on a logarithmic scale."""
    drawn = [(result, found) for result in results if (found := margin(result)) is not None]
    height = _TOP + _ROW * len(drawn) + 30
    width = _LABEL + _PLOT + _RIGHT
    zero = _LABEL + _PLOT / 2
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}"'
            f' height="{height}" font-family="sans-serif" font-size="12">'
        ),
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        '<text x="12" y="24" font-size="16" font-weight="bold">Measured against the targets</text>',
        '<text x="12" y="44" fill="#555">times better than the target; the line in the middle is the target</text>',
    ]
    for power in range(-_DECADES, _DECADES + 1):
        x = zero + power * _PLOT / 2 / _DECADES
        stroke = "#333" if power == 0 else "#ddd"
        parts.append(
            f'<line x1="{x:.1f}" y1="{_TOP - 8}" x2="{x:.1f}" y2="{height - 26}" stroke="{stroke}"/>'
            f'<text x="{x:.1f}" y="{height - 10}" text-anchor="middle" fill="#555">{10.0**power:g}x</text>'
        )
    for at, (result, found) in enumerate(drawn):
        parts.append(_bar(result, found, _TOP + _ROW * at, zero))
    return "\n".join([*parts, "</svg>", ""])


def _bar(result: Result, found: float, y: int, zero: float) -> str:
    reach = max(-_DECADES, min(_DECADES, math.log10(found))) * _PLOT / 2 / _DECADES
    x, length = min(zero, zero + reach), max(1.0, abs(reach))
    label = escape(f"{result.id}  {result.what} ({result.flavour})")
    value = result.ours if result.ratio is None else result.ratio
    told = escape(f"{value:.3g} ({result.target})")
    return (
        f'<text x="{_LABEL - 10}" y="{y + 14}" text-anchor="end">{label}</text>'
        f'<rect x="{x:.1f}" y="{y + 3}" width="{length:.1f}" height="{_ROW - 8}" fill="{_GOOD if result.met else _BAD}"/>'
        f'<text x="{_LABEL + _PLOT + 10}" y="{y + 14}" fill="#555">{told}</text>'
    )
