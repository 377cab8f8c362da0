"""Judge the empirical claims on networks on three more sets of seeds and renew seed-sets.json and seed-sets.md here.

python papers/seed_sets.py [CLAIM …] [--tier smoke|quick|full] [--levels trained] [--sets 1,2,3] [--out DIR]
python papers/seed_sets.py [CLAIM …] --join FILE

Set 0 is the one whose verdicts the papers' folders record; they are set beside the others. The cheapest claims come
first, and each level is kept under DIR as it is judged: a run that was stopped goes on where it was, and claims that
are named renew their own rows. --join judges nothing, and takes their rows from another run's seed-sets.json. Exits
with 1 when two sets come to different decisions, or one to an error; to come to none (inconclusive) on one set and to
one on another is no change.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ematheory as em
from ematheory.claims import Claim, find
from ematheory.claims.claim import asked
from ematheory.report import as_json
from ematheory.report.record import write_text
from ematheory.report.seed_sets import Rows, by_level, joined, markdown

HERE = Path(__file__).parent
DATA, TABLE = HERE / "seed-sets.json", HERE / "seed-sets.md"
TEXT = """# Verdicts on other seeds

Written by `python papers/seed_sets.py`, tier {tier}. Each column judges the levels on seeds of its own: set 0 on those
that claims name, as their papers' folders record it, set k on those 10⁶·k further on. In brackets is the interval of
the comparison that decided, at 99.9 % for all comparisons of the level together; [seed-sets.json](seed-sets.json) names
that comparison and the seeds. t(f), k comparisons: Student's t with f degrees of freedom, two-sided, Šidák-corrected
for the level's k comparisons; exact binomial is Clopper and Pearson's interval of a share of seeds; unbounded is what
they tell where a grid shows no best place in some draw.

{table}
{says}
"""


def arguments() -> argparse.Namespace:
    reader = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    reader.add_argument("names", nargs="*", help="claims or papers; all of them without names")
    reader.add_argument("--tier", default="quick", help="smoke, quick or full")
    reader.add_argument("--levels", default="trained", help="joined by commas; trained includes networks")
    reader.add_argument("--sets", default="1,2,3", help="joined by commas, in the order in which they are judged")
    reader.add_argument("--join", type=Path, help="another run's seed-sets.json, to take its rows")
    reader.add_argument("--out", type=Path, default=Path("report/seed-sets"), help="where judged levels are kept")
    return reader.parse_args()


def rows_of(path: Path, tier: str) -> Rows:
    """The rows that a run in this tier wrote there, if any did."""
    kept = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"tier": tier, "rows": []}
    return kept["rows"] if kept["tier"] == tier else []


def recorded(claim: Claim, level: str, tier: str) -> Iterator[dict[str, Any]]:
    """Set 0's verdict on a level, from the record in its paper's folder that was made in this tier."""
    for path in (HERE / claim.paper).glob("**/verdicts.json"):
        record = json.loads(path.read_text(encoding="utf-8"))
        rows = [row for row in record["verdicts"] if (row["claim"], row["level"]) == (claim.id, level)]
        if record["tier"] == tier:
            yield {"seed_set": 0, "verdicts": rows}


def judged(plan: list[tuple[Claim, str]], given: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """The records of all levels on all sets, each told of as it is made."""
    for claim, level in plan:
        for seed_set in map(int, given.sets.split(",")):
            result = em.validate(
                claim.id, levels=level, tier=given.tier, out=given.out / f"set-{seed_set}", resume=True,
                seed_set=seed_set,
            )  # fmt: skip
            row = next(row for row in result.verdicts if row["level"] == level)
            print(claim.id, level, f"set {seed_set}:", row["verdict"], f"{row['seconds']:.0f} s", flush=True)
            yield result.record


def renew(rows: Rows, tier: str) -> list[str]:
    """Write both files; what changes from one set to another."""
    changed = [f"{row['claim']} {row['level']}" for row in rows if row["changes"]]
    says = f"Changed: {', '.join(changed)}." if changed else "No verdict changes other than to or from inconclusive."
    write_text(DATA, as_json({"tier": tier, "rows": rows}))
    write_text(TABLE, TEXT.format(tier=tier, table=markdown(rows), says=says))
    return changed


def main() -> int:
    given = arguments()
    claims = [claim for claim in find(*given.names) if "empirical" in claim.kinds]
    plan = [(claim, level) for claim in claims for level in claim.levels if asked(level, given.levels.split(","))]
    known = [each for claim, level in plan for each in recorded(claim, level, given.tier)]
    seconds = {(claim.id, level): 0.0 for claim, level in plan}
    seconds |= {(row["claim"], row["level"]): row["seconds"] for each in known for row in each["verdicts"]}
    plan.sort(key=lambda each: seconds[each[0].id, each[1]])
    rows = joined(rows_of(DATA, given.tier), by_level(known))
    if given.join is not None:
        others = [row for row in rows_of(given.join, given.tier) if (row["claim"], row["level"]) in seconds]
        plan, rows = [], joined(rows, others)
    for record in judged(plan, given):
        rows = joined(rows, by_level([record]))
        renew(rows, given.tier)
    changed = renew(rows, given.tier)
    print(f"changed: {', '.join(changed) or 'nothing'}; {TABLE} and {DATA}")
    return int(bool(changed))


if __name__ == "__main__":
    sys.exit(main())
