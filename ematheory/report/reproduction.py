"""What a paper's reproduce.py does: read its arguments, judge the paper's claims, and record what came of it.

The quick record, of every level, lies in the paper's folder; the full one, of the levels asked for, in `full/` in it. A
smoke run touches neither: what it finds goes to `smoke/`, which git ignores.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ..claims.claim import LEVELS, TIERS
from ..claims.claim import asked as is_asked
from .papers import PLACES, write_paper
from .record import as_json, contradictions


def reproduce(
    folder: Path,
    arguments: Sequence[str],
    validate: Callable[..., Any],
    draw_maps: Callable[[Path, str], None] | None = None,
) -> int:
    """Judge the claims of the paper that the folder is named after, and renew the tier's record; the exit status.

    Parameters
    ----------
    arguments : ``[TIER] [LEVEL …] [--resume DIR] [--device NAME]``, the tier being quick by default. Levels are
        chosen in the full tier alone: the other tiers judge every level. `DIR` keeps each level once judged, for a
        later call with it to take, as `ematheory validate --resume` does.
    validate : `ematheory.validate`, which reports may not run of their own accord.
    draw_maps : draws the paper's regime maps of a tier into a folder, where every level is judged.

    Returns 1 where a verdict contradicts the expected one, else 0. Raises `SystemExit` with status 2 for arguments that
    are none of these, and `ValueError` before anything is judged where the README has no place for the table.
    """
    asked = read(folder, arguments)
    place = PLACES[asked.tier]
    # To be told of a README without the lines before hours of training, not after.
    place.check((folder / "README.md").read_text(encoding="utf-8"))
    options = {"out": asked.resume, "resume": asked.resume is not None, "device": asked.device}
    result = validate(folder.name, tier=asked.tier, levels=asked.levels or None, **options)
    recorded = json.loads(as_json(result.record))
    chosen = [row for row in recorded["verdicts"] if not asked.levels or is_asked(row["level"], asked.levels)]
    write_paper({**recorded, "verdicts": chosen}, folder, place)
    if draw_maps and not asked.levels:
        draw_maps(folder / place.within / "figures", asked.tier)
    for line in (found := contradictions(recorded)):
        print(f"contradicts: {line}")
    return int(bool(found))


def read(folder: Path, arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog=f"python papers/{folder.name}/reproduce.py", allow_abbrev=False)
    parser.add_argument(
        "tier", nargs="?", default="quick", choices=TIERS, help="quick by default; smoke leaves the record alone"
    )
    parser.add_argument("levels", nargs="*", metavar="LEVEL", help=f"of {', '.join(LEVELS)}; in the full tier alone")
    parser.add_argument(
        "--resume", type=Path, metavar="DIR", help="keep judged levels here, and take those kept before"
    )
    parser.add_argument(
        "--device", default="cpu", help="where networks are trained, by torch's name of it: cpu or cuda"
    )
    asked = parser.parse_args(arguments)
    unknown = [level for level in asked.levels if level not in LEVELS]
    if unknown:
        parser.error(f"no level {unknown[0]!r}; known are {', '.join(LEVELS)}")
    if asked.levels and asked.tier != "full":
        parser.error(f"levels are chosen in the full tier alone; tier {asked.tier} judges every level")
    return asked
