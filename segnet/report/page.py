"""The page of a report: templates, and drawings as SVG."""

from __future__ import annotations

import datetime
import math
from collections.abc import Sequence
from typing import Any

import jinja2
from markupsafe import Markup, escape

__all__ = ["bars", "lines", "reliability", "render"]

_WIDTH, _HEIGHT = 420, 220
_LEFT, _RIGHT, _TOP, _BOTTOM = 48, 12, 10, 26
_POINTS = 400  # of a curve; more cannot be seen
_ENVIRONMENT = jinja2.Environment(
    loader=jinja2.PackageLoader("segnet.report"),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
)


def render(template: str, **context: Any) -> str:
    """Fills a template in.

    Args:
      template: File in `templates/`; one that extends `page.html`.
      context: What the template names; text is escaped.
    """
    return _ENVIRONMENT.get_template(template).render(
        date=datetime.datetime.now().strftime("%Y-%m-%d %H:%M"),
        **context,
    )


def lines(
    curves: dict[str, Sequence[tuple[float, float]]],
    about: str,
    *,
    from_zero: bool = True,
) -> Markup:
    """Curves over the steps of a run.

    Args:
      curves: Name and points (x, y) of one or two.
      about: For who does not see them.
      from_zero: Whether the vertical axis begins at 0.
    """
    points = [point for curve in curves.values() for point in curve]
    if not points:
        return Markup("<p class='soft'>Nothing was logged.</p>")
    largest_x = max(x for x, _ in points) or 1.0
    low = 0.0 if from_zero else min(y for _, y in points)
    high = max(y for _, y in points)
    high = high if high > low else low + 1.0

    def place(x: float, y: float) -> str:
        across = _LEFT + x / largest_x * (_WIDTH - _LEFT - _RIGHT)
        return f"{across:.1f},{_up((y - low) / (high - low)):.1f}"

    parts = [_axes(_number(low), _number(high), "0", _number(largest_x))]
    for style, (name, curve) in zip("ab", curves.items(), strict=False):
        kept = curve[:: max(1, len(curve) // _POINTS)]
        path = " ".join(place(x, y) for x, y in kept)
        parts.append(
            f'<polyline class="line {style}" points="{path}"><title>'
            f"{escape(name)}</title></polyline>"
        )
        if len(curve) == 1:
            x, y = place(*curve[0]).split(",")
            parts.append(f'<circle class="dot" cx="{x}" cy="{y}" r="4"/>')
    return _svg(parts, about)


def bars(
    rows: Sequence[tuple[str, float | None, Sequence[float] | None]],
    about: str,
) -> Markup:
    """Horizontal bars of values in 0..1.

    Args:
      rows: Name, value and its interval, of each.
      about: For who does not see them.
    """
    left, line = 130, 22
    span = _WIDTH - left - 60
    parts = []
    for index, (name, value, interval) in enumerate(rows):
        y = index * line
        short = name if len(name) <= 18 else name[:17] + "…"
        parts.append(
            f'<text x="{left - 8}" y="{y + 15}" text-anchor="end">'
            f"{escape(short)}<title>{escape(name)}</title></text>"
        )
        shown = "-" if value is None else f"{value:.3f}"
        parts.append(
            f'<rect class="bar" x="{left}" y="{y + 3}" height="16" '
            f'width="{(value or 0.0) * span:.1f}"/>'
            f'<text x="{_WIDTH}" y="{y + 15}" text-anchor="end">{shown}</text>'
        )
        if interval:
            low, high = (left + span * x for x in interval)
            parts.append(
                f'<path class="whisker" d="M{low:.1f} {y + 11}H{high:.1f}'
                f'M{low:.1f} {y + 7}v8M{high:.1f} {y + 7}v8"/>'
            )
    return _svg(parts, about, height=len(rows) * line + 4)


def reliability(rows: Sequence[dict[str, Any]], about: str) -> Markup:
    """The share that is right over the confidence.

    Args:
      rows: Bins of `calibration.summarize`.
      about: For who does not see it.
    """
    total = sum(row["pixels"] for row in rows) or 1
    across = _WIDTH - _LEFT - _RIGHT
    parts = [
        _axes("0", "right", "0", "sure"),
        f'<path class="axis" stroke-dasharray="4 4" d="M{_LEFT} '
        f'{_up(0):.1f}L{_WIDTH - _RIGHT} {_up(1):.1f}"/>',
    ]
    known = [row for row in rows if row["pixels"]]
    path = " ".join(
        f"{_LEFT + across * row['confidence']:.1f},{_up(row['accuracy']):.1f}"
        for row in known
    )
    parts.append(f'<polyline class="line a" points="{path}"/>')
    for row in known:
        radius = 2 + 8 * math.sqrt(row["pixels"] / total)
        parts.append(
            f'<circle class="dot" cx="{_LEFT + across * row["confidence"]:.1f}"'
            f' cy="{_up(row["accuracy"]):.1f}" r="{radius:.1f}"><title>'
            f"{row['pixels']} pixels: {row['confidence']:.3f} sure, "
            f"{row['accuracy']:.3f} right</title></circle>"
        )
    return _svg(parts, about)


def _up(share: float) -> float:
    return _HEIGHT - _BOTTOM - share * (_HEIGHT - _TOP - _BOTTOM)


def _axes(low: str, high: str, first: str, last: str) -> str:
    right, bottom = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM
    return (
        f'<path class="axis" d="M{_LEFT} {_TOP}V{bottom}H{right}"/>'
        f'<text class="soft" x="{_LEFT - 5}" y="{bottom}" text-anchor="end">'
        f"{low}</text>"
        f'<text class="soft" x="{_LEFT - 5}" y="{_TOP + 10}" '
        f'text-anchor="end">{high}</text>'
        f'<text class="soft" x="{_LEFT}" y="{bottom + 18}">{first}</text>'
        f'<text class="soft" x="{right}" y="{bottom + 18}" '
        f'text-anchor="end">{last}</text>'
    )


def _svg(parts: Sequence[str], about: str, height: int = _HEIGHT) -> Markup:
    # What is put in from outside has been escaped above.
    return Markup(
        f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" '
        f'aria-label="{escape(about)}">{"".join(parts)}</svg>'
    )


def _number(value: float) -> str:
    return f"{value:.3g}" if value < 1000 else f"{value:.0f}"
