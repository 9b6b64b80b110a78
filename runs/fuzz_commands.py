"""Run random hostile command lines in this process; print each that ends in a traceback or does not end.

python runs/fuzz_commands.py [NUMBER]        # 1,000 by default
"""

import sys
import traceback
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.cli.command_lines import check, command_lines


def main(number: int) -> int:
    """Run so many command lines; return how many went wrong."""
    wrong: dict[str, list[str]] = {}

    @seed(1)
    @settings(
        max_examples=number,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(command_lines())
    def one(words: list[str]) -> None:
        try:
            check(words)
        except Exception as error:
            where = traceback.extract_tb(error.__traceback__)[-1]
            name = f"{type(error).__name__} at {Path(where.filename).name}:{where.lineno}: {error}"
            wrong.setdefault(name[:300], words)

    one()
    for name, words in wrong.items():
        print(f"{name}\n    {words}")
    print(f"{number:,} command lines, {len(wrong)} different faults")
    return len(wrong)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    sys.exit(min(main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000), 1))
