"""Judge the claims of this paper again and renew verdicts.json, figures/ (with the regime maps) and README.md's table.

python papers/zhang2019/reproduce.py [smoke|quick|full] [LEVEL …] [--resume DIR]

The full tier has full/verdicts.json, full/figures/ and a table of its own, of the levels that are named or all; maps
are drawn with all. A smoke run leaves the records alone: it writes smoke/, which git ignores.
"""

import sys
from pathlib import Path

import regime_maps

import ematheory as em
from ematheory.report.reproduction import reproduce

if __name__ == "__main__":
    sys.exit(reproduce(Path(__file__).parent, sys.argv[1:], em.validate, regime_maps.write))
