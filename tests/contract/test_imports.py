"""What an import brings along: the init container pays for it at every pod start."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CONTRACT = sorted(path.stem for path in (ROOT / "contract").glob("*.py") if path.stem != "__init__")
# What the init container loads of the contract.
LEAN = ("fqn", "plan", "wire", "values", "envfile", "keys", "record", "strict", "references", "template", "rendering")
FORMATS = sorted(f"formats.{path.stem}" for path in (ROOT / "contract/formats").glob("*_*.py"))

_PRINT_FOREIGN = """
import sys
before = set(sys.modules)
{imports}
roots = {{name.partition('.')[0] for name in set(sys.modules) - before}}
print(*sorted(root for root in roots if root not in sys.stdlib_module_names and root not in {ours}))
print(*sorted(set(sys.modules) - before))
"""


def _loaded(imports: str, ours: set[str]) -> tuple[list[str], set[str]]:
    code = _PRINT_FOREIGN.format(imports=imports, ours=ours)
    done = subprocess.run(
        [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{code}"], capture_output=True, text=True, check=True
    )
    foreign, everything = done.stdout.split("\n")[:2]
    return foreign.split(), set(everything.split())


def test_contract_imports_only_the_standard_library() -> None:
    """No module of the contract brings a package of somebody else's, or a program of ours."""
    foreign, _ = _loaded("\n".join(f"import contract.{name}" for name in (*CONTRACT, *FORMATS)), {"contract"})
    assert foreign == []


def test_init_container_imports_only_the_contract_and_the_standard_library() -> None:
    """Its image holds nothing else."""
    names = sorted(path.stem for path in (ROOT / "initcontainer").glob("*.py") if not path.stem.startswith("__"))
    foreign, _ = _loaded("\n".join(f"import initcontainer.{name}" for name in names), {"contract", "initcontainer"})
    assert foreign == []


@pytest.mark.parametrize("name", [*LEAN, *FORMATS])
def test_lean_modules_leave_out_what_is_slow_to_load(name: str) -> None:
    """dataclasses brings inspect, typing is a millisecond, asyncio ten: none of them at a pod's start."""
    _, loaded = _loaded(f"import contract.{name}", {"contract"})
    assert not loaded & {"dataclasses", "inspect", "typing", "asyncio", "ssl", "logging", "urllib.request", "http.client"}
