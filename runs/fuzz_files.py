#!/usr/bin/env python3
"""Damage files of showers in many ways and read them: equal showers, or one clear sentence.

python runs/fuzz_files.py [-n 1000] [--seed 1]
"""

import argparse
import faulthandler
import sys
import tempfile
from collections import Counter
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from tests.formats.damage import LAYOUTS, check, damages, make_case

_LONGEST = 20.0  # seconds that reading one file may take


def main() -> None:
    """Damage and read n files, shared by all layouts."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("-n", type=int, default=1000, help="number of damaged files")
    parser.add_argument("--seed", type=int, default=1, help="seed for all random choices")
    options = parser.parse_args()
    faulthandler.enable()
    with tempfile.TemporaryDirectory() as folder:
        for layout in LAYOUTS:
            print(layout, dict(_fuzz(layout, -(-options.n // len(LAYOUTS)), options.seed, Path(folder))))


def _fuzz(layout: str, n: int, number: int, folder: Path) -> Counter[str]:
    case, outcomes = make_case(layout, folder), Counter[str]()

    @seed(number)
    @settings(
        max_examples=n,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
    )
    @given(st.data())
    def body(data: st.DataObject) -> None:
        damage = data.draw(damages(case))
        faulthandler.dump_traceback_later(_LONGEST, exit=True)
        outcomes[check(case, folder / "damaged.h5", damage)] += 1
        faulthandler.cancel_dump_traceback_later()

    body()
    return outcomes


if __name__ == "__main__":
    main()
