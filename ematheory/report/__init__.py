"""Tables, pages and figures from recorded verdicts; runs nothing."""

from __future__ import annotations

import json
from pathlib import Path

from .levels import Levels, key
from .page import page
from .record import Record, as_json, contradictions, record, write_text
from .table import verdict_table

__all__ = ["Levels", "Record", "as_json", "contradictions", "key", "page", "record", "verdict_table", "write"]


def write(recorded: Record, out: Path | str) -> tuple[Path, Path]:
    """Write `report.json` and `index.html` into the folder `out`, each whole or not at all; returns their paths."""
    data, html = Path(out) / "report.json", Path(out) / "index.html"
    text = as_json(recorded)
    # The page is made of what was written, so that a record read back gives the same page.
    rendered = page(json.loads(text))
    write_text(data, text)
    write_text(html, rendered)
    return data, html
