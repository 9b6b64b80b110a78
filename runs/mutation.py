"""Breaks modules on purpose, one small change at a time, and counts the changes that the tests notice.

Those that no test notices are listed. For people who strengthen the tests; it takes hours for every module,
so it is not part of CI. Each module is tested by the test file of its name or, where there is none, by the
tests of its package. The work is done in a copy of the tree.

    pip install cosmic-ray
    .venv-tests/bin/python runs/mutation.py                                              every module
    .venv-tests/bin/python runs/mutation.py inference/noise.py stages/train/phases.py    these modules
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from cosmic_ray.work_db import WorkDB, use_db
from cosmic_ray.work_item import TestOutcome, WorkerOutcome, WorkResult

ROOT = Path(__file__).parents[1]
PACKAGES = ("geometry", "showers", "formats", "preprocessing", "inference")
MODULES = ("stages/train/data.py", "stages/train/phases.py")

KINDS = re.compile(
    r"core/(AddNot|NumberReplacer|ReplaceTrueWithFalse|ReplaceFalseWithTrue|ReplaceAndWithOr|ReplaceOrWithAnd"
    r"|ReplaceBreakWithContinue|ReplaceContinueWithBreak|ZeroIterationForLoop|RemoveDecorator"
    r"|ReplaceBinaryOperator_(Add_Sub|Sub_Add|Mul_Div|Div_Mul|FloorDiv_Mul|Mod_FloorDiv|Pow_Mul|BitAnd_BitXor"
    r"|LShift_RShift|RShift_LShift)"
    r"|ReplaceComparisonOperator_(Eq_NotEq|NotEq_Eq|Is_IsNot|IsNot_Is|Lt_LtE|Lt_GtE|LtE_Lt|LtE_Gt|Gt_GtE|Gt_LtE"
    r"|GtE_Gt|GtE_Lt)"
    r"|ReplaceUnaryOperator_(USub_UAdd|Delete_USub|Delete_Not|Delete_Invert))"
)
"""One or two changes of each operator: the twelve that cosmic-ray knows of a plus fall to the same tests."""

CONFIG = """[cosmic-ray]
module-path = "src/caloforge/{module}"
timeout = 120.0
excluded-modules = []
test-command = "{python} -m pytest -q -x -p no:cacheprovider {tests}"
[cosmic-ray.distributor]
name = "local"
"""


def main(modules: list[str]) -> None:
    """Try every module in a copy of the tree."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        for name in ("src", "tests", "zoo", "docs", "pyproject.toml"):
            source = ROOT / name
            (shutil.copytree if source.is_dir() else shutil.copy)(source, copy / name)
        for module in modules or every():
            print(report(module, *tried(module, copy)), flush=True)


def every() -> list[str]:
    """Return the modules that numbers and files depend on."""
    package = ROOT / "src" / "caloforge"
    found = (path for name in PACKAGES for path in sorted((package / name).glob("*.py")))
    return [str(path.relative_to(package)) for path in found if path.stem != "__init__"] + list(MODULES)


def tests_of(module: str) -> str:
    """Return the tests that must notice a change."""
    folder = Path("tests") / Path(module).parent
    own = folder / f"test_{Path(module).stem.removeprefix('_')}.py"
    return str(own if (ROOT / own).is_file() else folder)


def tried(module: str, copy: Path) -> tuple[int, list[str]]:
    """Return how many changes were tried, and those that survived, each with its line."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(copy / "src")}
    config = CONFIG.format(module=module, python=sys.executable, tests=tests_of(module))
    (copy / "mutation.toml").write_text(config, encoding="utf-8")
    session = copy / "mutation.sqlite"
    session.unlink(missing_ok=True)

    def cosmic_ray(*arguments: str) -> None:
        command = [sys.executable, "-m", "cosmic_ray.cli", *arguments]
        subprocess.run(command, cwd=copy, env=environment, check=True)

    cosmic_ray("baseline", "mutation.toml")  # the tests pass without a change
    cosmic_ray("init", "mutation.toml", session.name)
    lines = (ROOT / "src" / "caloforge" / module).read_text(encoding="utf-8").splitlines()
    with use_db(session, WorkDB.Mode.open) as database:
        for item in list(database.work_items):
            if not KINDS.fullmatch(item.mutations[0].operator_name):
                database.set_result(item.job_id, WorkResult(WorkerOutcome.SKIPPED))
    cosmic_ray("exec", "mutation.toml", session.name)
    with use_db(session, WorkDB.Mode.open) as database:
        done = [
            (item.mutations[0], result.test_outcome)
            for item, result in database.completed_work_items
            if result.worker_outcome is not WorkerOutcome.SKIPPED
        ]
    survived = []
    for mutation, outcome in done:
        if outcome is TestOutcome.SURVIVED:
            number = mutation.start_pos[0]
            survived.append(
                f"{number}: {mutation.operator_name.removeprefix('core/')}: {lines[number - 1].strip()}"
            )
    return len(done), sorted(survived, key=lambda line: int(line.partition(":")[0]))


def report(module: str, number: int, survived: list[str]) -> str:
    """Say how many changes the tests noticed, and which they did not."""
    share = 100 * (number - len(survived)) / max(number, 1)
    return "\n  ".join([f"{module}: {share:.0f} % of {number} changes are noticed", *survived])


if __name__ == "__main__":
    main(sys.argv[1:])
