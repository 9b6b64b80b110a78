#!/usr/bin/env python3
"""Damage the record or the graph of a model many times; each must still work, or be refused in a sentence.

The damage is that of tests/inference. Give the number of models, 1,000 by default. Needs the packages of the
tests.
"""

import json
import sys
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

import onnx
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[1]))

from caloforge.geometry import Calorimeter
from tests import small_weights
from tests.inference import damage
from tests.inference.damage import outcome


def main(number: int) -> None:
    """Try models, and say how many worked and how many were refused."""
    found: Counter[str] = Counter()
    with TemporaryDirectory() as folder:
        path = small_weights.write(Path(folder) / "a.json", Calorimeter.load("calogan"))
        half = settings(
            max_examples=number // 2, deadline=None, database=None, suppress_health_check=list(HealthCheck)
        )
        record, graph = json.loads(path.read_text()), onnx.load(path.with_suffix(".onnx"))

        @given(data=st.data())
        @half
        def records(data: st.DataObject) -> None:
            whole = damage.write(path.parent, record, graph.SerializeToString())
            whole.write_bytes(data.draw(damage.records(json.loads(whole.read_text()))))
            found["refused" if outcome(whole) else "worked"] += 1

        @given(data=st.data())
        @half
        def graphs(data: st.DataObject) -> None:
            damaged = damage.write(path.parent, record, data.draw(damage.graphs(graph)))
            found["refused" if outcome(damaged) else "worked"] += 1

        records()
        graphs()
    print(f"{sum(found.values())} damaged models: {found['refused']} refused, {found['worked']} worked.")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
