"""Count the mutants of every derivation and write the counts to mutants.json, which the slow suite checks.

python tests/derivations/record_mutants.py
"""

import json
from pathlib import Path

from ematheory.derivations import derive, names
from ematheory.derivations.mutation import counted

counts = {name: counted(derive(name)) for name in names()}
Path(__file__).with_name("mutants.json").write_text(json.dumps(counts, indent=1) + "\n", encoding="utf-8")
print(f"{sum(counts.values())} mutants of {len(counts)} derivations")
