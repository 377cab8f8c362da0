"""Judge the claims of this paper again and renew verdicts.json, figures/ and the table in README.md.

python papers/li2020/reproduce.py [smoke|quick|full] [LEVEL …] [--resume DIR]

The full tier has full/verdicts.json, full/figures/ and a table of its own, of the levels that are named or all. A smoke
run leaves the records alone: it writes smoke/, which git ignores.
"""

import sys
from pathlib import Path

import ematheory as em
from ematheory.report.reproduction import reproduce

if __name__ == "__main__":
    sys.exit(reproduce(Path(__file__).parent, sys.argv[1:], em.validate))
