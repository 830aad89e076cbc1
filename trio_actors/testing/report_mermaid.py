"""A run as a Mermaid sequence diagram."""

from __future__ import annotations

from trio_actors.testing.report_text import Arrow, Picture


def mermaid(picture: Picture) -> str:
    """The text of the diagram; late messages are dotted and marked."""
    lines = ["sequenceDiagram"]
    for index, name in enumerate(picture.columns):
        lines.append(f"    participant p{index} as {_safe(name)}")
    last = len(picture.columns) - 1
    for row in picture.rows:
        if isinstance(row, Arrow):
            arrow = "-->>" if row.late else "->>"
            marks = [f"late by {row.late}"] if row.late else []
            marks += [f"fault {row.fault}"] if row.fault else []
            text = row.text + (f" ({', '.join(marks)})" if marks else "")
            lines.append(f"    p{row.src}{arrow}p{row.dst}: {_safe(text)}")
        elif last >= 0:
            over = f"p0,p{last}" if last else "p0"
            lines.append(f"    Note over {over}: {_safe(row.text)}")
    return "\n".join(lines)


_CODES = str.maketrans({"#": "#35;", ";": "#59;", ":": "#58;", "<": "#60;", ">": "#62;"})


def _safe(text: str) -> str:
    return text.translate(_CODES)
