"""Breaks modules on purpose, one small change at a time, and counts the changes that the tests notice.

Changes that no test notices are listed. This helps to improve the tests; all modules take hours, so it is not
part of CI. A module is tested by the test file of its name and, if that notices nothing, by the other
tests of its package. The libraries are imported once; each change is then tried in a forked process that sees
the changed source in memory, so nothing on the disk is touched.

    pip install cosmic-ray
    .venv-tests/bin/python runs/mutation.py                                     every module
    .venv-tests/bin/python runs/mutation.py inference/noise.py geometry/axis.py these modules
    .venv-tests/bin/python runs/mutation.py -n 40 geometry/axis.py              40 changes drawn at random
"""

import argparse
import importlib
import importlib.abc
import importlib.util
import os
import random
import re
import signal
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator, operator_names

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "caloforge"
PACKAGES = ("geometry", "showers", "formats", "preprocessing", "inference")
MODULES = ("stages/train/data.py", "stages/train/phases.py")
LIBRARIES = ("h5py", "matplotlib.pyplot", "onnxruntime", "pydantic", "scipy.stats", "torch", "typer")
TIMEOUT = 180  # seconds; a change that makes the tests endless counts as noticed

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


class Change(NamedTuple):
    """What is changed where: an operator of cosmic-ray and which of the places that it applies to."""

    line: int
    operator: str
    occurrence: int

    def applied(self, source: str) -> str:
        """Return the changed source."""
        return mutate_code(source, get_operator(self.operator)(), self.occurrence) or source


def main() -> None:
    """Try the modules one after the other."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("modules", nargs="*", help="paths inside the package [default: every module]")
    parser.add_argument("-n", type=int, help="most changes a module, drawn at random [default: all]")
    parser.add_argument("-j", type=int, default=1, help="processes")
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    for library in LIBRARIES:  # without any that pytest has to rewrite
        importlib.import_module(library)
    total = noticed = 0
    for module in options.modules or every():
        tried, survived = attempt(module, options.n, options.j)
        total, noticed = total + tried, noticed + tried - len(survived)
        print(
            "\n  ".join([f"{module}: {share(tried - len(survived), tried)} are noticed", *survived]),
            flush=True,
        )
    print(f"together: {share(noticed, total)} are noticed")


def every() -> list[str]:
    """Return the modules that numbers and files depend on."""
    found = (path for name in PACKAGES for path in sorted((SOURCE / name).glob("*.py")))
    return [str(path.relative_to(SOURCE)) for path in found if path.stem != "__init__"] + list(MODULES)


def share(part: int, whole: int) -> str:
    """Return a share in words."""
    return f"{100 * part / max(whole, 1):.0f} % of {whole} changes"


def attempt(module: str, most: int | None, processes: int) -> tuple[int, list[str]]:
    """Return how many changes were tried, and those that survived, each with its line."""
    source = (SOURCE / module).read_text(encoding="utf-8")
    lines = source.splitlines()
    found = list(changes(source))
    if most is not None and most < len(found):
        found = sorted(random.Random(0).sample(found, most))
    tests = tests_of(module)
    if notices(module, source, tests):
        raise SystemExit(f"The tests of {module} fail without a change.")
    with ThreadPoolExecutor(processes) as pool:
        outcomes = list(pool.map(lambda change: notices(module, change.applied(source), tests), found))
    survived = [
        f"{change.line}: {change.operator.removeprefix('core/')}: {lines[change.line - 1].strip()}"
        for change, outcome in zip(found, outcomes, strict=True)
        if not outcome
    ]
    return len(found), survived


def changes(source: str) -> Iterator[Change]:
    """Yield every change of the kinds above."""
    nodes = list(ast_nodes(get_ast(source)))
    for name in sorted(operator_names()):
        if not KINDS.fullmatch(name):
            continue
        operator = get_operator(name)()
        starts = [start for node in nodes for start, _ in operator.mutation_positions(node)]
        yield from (Change(line, name, occurrence) for occurrence, (line, _) in enumerate(starts))


def tests_of(module: str) -> list[list[str]]:
    """Return the tests that must notice a change, those that are likely to first."""
    folder = ROOT / "tests" / Path(module).parent
    own = folder / f"test_{Path(module).stem.removeprefix('_')}.py"
    others = [str(path) for path in sorted(folder.glob("test_*.py")) if path != own]
    return [[str(own)], others] if own.is_file() else [others]


def notices(module: str, source: str, tests: list[list[str]]) -> bool:
    """Return whether any of the tests fails with the module's source replaced."""
    return any(fails(module, source, some) for some in tests if some)


def fails(module: str, source: str, tests: list[str]) -> bool:
    """Run tests in a forked process."""
    child = os.fork()
    if child == 0:
        os.setsid()  # whatever the tests start ends with them
        signal.alarm(TIMEOUT)
        silence = os.open(os.devnull, os.O_RDWR)
        for stream in range(3):
            os.dup2(silence, stream)
        os.chdir(ROOT)
        sys.meta_path.insert(0, Replacement(module, source))
        import pytest

        plain = ("-q", "-x", "-p", "no:cacheprovider", "-p", "no:xdist", "--hypothesis-profile=first")
        os._exit(int(pytest.main([*plain, *tests])))
    _, status = os.waitpid(child, 0)
    return status != 0


class Replacement(importlib.abc.MetaPathFinder, importlib.abc.SourceLoader):
    """Imports one module of the package from a text instead of its file."""

    def __init__(self, module: str, source: str) -> None:
        self.name = ".".join(["caloforge", *Path(module).with_suffix("").parts])
        self.path = str(SOURCE / module)
        self.source = source

    def find_spec(self, fullname, path, target=None):
        """Return the spec of the replaced module only."""
        return (
            importlib.util.spec_from_loader(fullname, self, origin=self.path)
            if fullname == self.name
            else None
        )

    def get_filename(self, fullname: str) -> str:
        """Return the file that the text stands for."""
        return self.path

    def get_data(self, path: str) -> bytes:
        """Return the text."""
        return self.source.encode()


if __name__ == "__main__":
    main()
