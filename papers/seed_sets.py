"""Judge the empirical claims on networks on four sets of seeds and renew seed-sets.json and seed-sets.md beside this.

python papers/seed_sets.py [CLAIM …] [--tier smoke|quick|full] [--levels trained] [--sets 1,2,3,0] [--out DIR]

The cheapest first, and each level kept under DIR as it is judged: a run that was stopped goes on where it was. Both
files are renewed after every level. Exits with 1 when two sets come to different decisions, or one to an error; to come
to none (inconclusive) on one set and to one on another is no change.
"""

import argparse
import json
import sys
from pathlib import Path

import ematheory as em
from ematheory.claims import find
from ematheory.report import as_json
from ematheory.report.record import write_text
from ematheory.report.seed_sets import by_level, markdown

HERE = Path(__file__).parent
TEXT = """# Verdicts on other seeds

Written by `python papers/seed_sets.py`, tier {tier}. Each column judges the levels on seeds of its own, set 0 on those
that the claims name; the bracket is the interval of the comparison that decided, at 99.9 % for all comparisons of the
level together. `seed-sets.json` names that comparison, and the seeds. t(f), k comparisons: Student's t with f degrees
of freedom, two-sided, Šidák-corrected for the level's k comparisons.

{table}
{says}
"""


def arguments() -> argparse.Namespace:
    reader = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    reader.add_argument("names", nargs="*", help="claims or papers; all of them without names")
    reader.add_argument("--tier", default="quick", help="smoke, quick or full")
    reader.add_argument("--levels", default="trained", help="joined by commas")
    reader.add_argument("--sets", default="1,2,3,0", help="joined by commas, in the order in which they are judged")
    reader.add_argument("--out", type=Path, default=Path("report/seed-sets"), help="where judged levels are kept")
    return reader.parse_args()


def seconds(claim: em.claims.Claim, level: str) -> float:
    """How long a level took when its paper's verdicts were recorded; 0 where they do not tell."""
    rows = json.loads((HERE / claim.paper / "verdicts.json").read_text(encoding="utf-8"))["verdicts"]
    return sum(row["seconds"] for row in rows if (row["claim"], row["level"]) == (claim.id, level))


def renew(records: list[dict], sets: list[int], tier: str) -> bool:
    """Write both files; whether no verdict changes."""
    rows = by_level(records)
    changed = [f"{row['claim']} {row['level']}" for row in rows if row["changes"]]
    says = f"Changed: {', '.join(changed)}." if changed else "No verdict changes other than to or from inconclusive."
    shared = {name: records[-1][name] for name in ("tier", "date", "machine", "isas", "versions")}
    write_text(HERE / "seed-sets.json", as_json({**shared, "rows": rows}))
    write_text(HERE / "seed-sets.md", TEXT.format(tier=tier, table=markdown(rows, sorted(sets)), says=says))
    return not changed


def main() -> bool:
    given = arguments()
    sets = [int(each) for each in given.sets.split(",")]
    claims = [claim for claim in find(*given.names) if "empirical" in claim.kinds]
    plan = [(claim, level) for claim in claims for level in given.levels.split(",") if level in claim.levels]
    records, stands = [], True
    for claim, level in sorted(plan, key=lambda each: seconds(*each)):
        for seed_set in sets:
            folder = given.out / f"set-{seed_set}"
            result = em.validate(
                claim.id, levels=level, tier=given.tier, out=folder, resume=True, seed_set=seed_set
            )  # fmt: skip
            records.append(result.record)
            judged = next(row for row in result.verdicts if row["level"] == level)
            print(claim.id, level, f"set {seed_set}", judged["verdict"], f"{judged['seconds']:.0f} s", flush=True)
            stands = renew(records, sets, given.tier)
    return stands


if __name__ == "__main__":
    sys.exit(not main())
