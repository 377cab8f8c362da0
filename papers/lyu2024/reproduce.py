"""Judge every claim of this paper again and renew verdicts.json, figures/ and the table in README.md.

python papers/lyu2024/reproduce.py [smoke|quick|full]
"""

import json
import sys
from pathlib import Path

import ematheory as em
from ematheory.report import as_json
from ematheory.report.papers import write_paper

tier = sys.argv[1] if len(sys.argv) > 1 else "quick"
result = em.validate("lyu2024", tier=tier)
write_paper(json.loads(as_json(result.record)), Path(__file__).parent)
for line in result.contradictions:
    print(f"contradicts: {line}")
sys.exit(bool(result.contradictions))
