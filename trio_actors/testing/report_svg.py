"""A run as an SVG picture that needs nothing but a browser."""

from __future__ import annotations

from xml.sax.saxutils import escape

from trio_actors.testing.report_text import Arrow, Picture

COLUMN = 150
ROW = 30
TOP = 70
LATE = "#c2410c"
FAULT = "#b91c1c"
PLAIN = "#1f2937"
MUTED = "#6b7280"


def svg(picture: Picture, title: str) -> str:
    """The picture: a line down for each process, an arrow per delivery, late ones in colour."""
    width = COLUMN * max(2, len(picture.columns)) + 160
    height = TOP + ROW * (len(picture.rows) + 1)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}"'
        f' font-family="system-ui, sans-serif" font-size="12" role="img">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{width}" height="{height}" fill="white"/>',
        f'<text x="12" y="20" font-weight="600" fill="{FAULT}">{escape(_cut(title, 110))}</text>',
        _marker("plain", PLAIN),
        _marker("late", LATE),
    ]
    for index, name in enumerate(picture.columns):
        x = _x(index)
        parts.append(
            f'<rect x="{x - 62}" y="34" width="124" height="22" rx="5" fill="#eef2ff"'
            f' stroke="#a5b4fc"/><text x="{x}" y="49" text-anchor="middle"'
            f' fill="{PLAIN}">{escape(_cut(name, 20))}</text>'
            f'<line x1="{x}" y1="56" x2="{x}" y2="{height - 8}" stroke="#d1d5db"/>'
        )
    number = 0
    for place, row in enumerate(picture.rows):
        y = TOP + ROW * place + 12
        if isinstance(row, Arrow):
            number += 1
            parts.append(_arrow(row, y, number))
        else:
            parts.append(
                f'<text x="{_x(len(picture.columns)) - 70}" y="{y + 4}" fill="{MUTED}"'
                f' font-style="italic">{escape(_cut(row.text, 44))}</text>'
            )
    return "\n".join([*parts, "</svg>"])


def _x(column: int) -> int:
    return 80 + COLUMN * column


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def _marker(name: str, colour: str) -> str:
    return (
        f'<defs><marker id="{name}" markerWidth="9" markerHeight="8" refX="8" refY="4"'
        f' orient="auto"><path d="M0,0 L9,4 L0,8 z" fill="{colour}"/></marker></defs>'
    )


def _arrow(row: Arrow, y: int, number: int) -> str:
    colour = FAULT if row.fault else LATE if row.late else PLAIN
    head = "late" if row.late or row.fault else "plain"
    marks = [f"late by {row.late}"] if row.late else []
    marks += [f"fault {row.fault}"] if row.fault else []
    text = f"{number}. {row.text}" + (f" ({', '.join(marks)})" if marks else "")
    a, b = _x(row.src), _x(row.dst)
    dash = ' stroke-dasharray="5 3"' if row.late else ""
    if a == b:
        path = f"M{a},{y - 4} h26 v10 h-22"
        line = f'<path d="{path}" fill="none" stroke="{colour}"{dash} marker-end="url(#{head})"/>'
        return f'{line}<text x="{a + 32}" y="{y + 4}" fill="{colour}">{escape(text)}</text>'
    line = (
        f'<line x1="{a}" y1="{y + 4}" x2="{b}" y2="{y + 4}" stroke="{colour}"{dash}'
        f' marker-end="url(#{head})"/>'
    )
    middle = (a + b) // 2
    return (
        f'{line}<text x="{middle}" y="{y}" text-anchor="middle"'
        f' fill="{colour}">{escape(_cut(text, 40))}</text>'
    )
