"""`python -m docs.generate`: bring the tables in the documentation up to date with the code; `--check` only says whether they are.

A table stands between `<!-- generated: NAME -->` and `<!-- end: NAME -->`; everything around is written by hand.
"""

import argparse
import re
import sys
from difflib import unified_diff
from pathlib import Path

from docs.tables import TABLES, Stale

ROOT = Path(__file__).resolve().parent.parent
_BLOCK = re.compile(r"(<!-- generated: (?P<name>[a-z-]+) -->\n).*?(<!-- end: (?P=name) -->)", re.DOTALL)
_MARK = re.compile(r"<!-- (?:generated|end): ([a-z-]+) -->")


def pages() -> list[Path]:
    return sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def generated(text: str, place: str) -> str:
    """The page with its tables as they should be. Raises Stale for a mark that has no table or no partner."""

    def table(match: re.Match[str]) -> str:
        make = TABLES.get(match["name"])
        if make is None:
            raise Stale(f"{place}: found the mark '{match['name']}'; allowed: {', '.join(TABLES)}")
        return f"{match[1]}{make()}\n{match[3]}"

    made = _BLOCK.sub(table, text)
    if len(_MARK.findall(made)) != 2 * len(_BLOCK.findall(made)):
        raise Stale(f"{place}: a mark without its partner; allowed: <!-- generated: NAME --> and <!-- end: NAME -->, in this order")
    return made


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m docs.generate", description="Write the generated tables into the documentation.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit code 1 and the difference when a table is stale")
    check = parser.parse_args(arguments).check
    try:
        stale = [page for page in pages() if _renew(page, write=not check)]
    except Stale as error:
        sys.stderr.write(f"{error}\n")
        return 1
    if stale and check:
        sys.stderr.write("The documentation does not fit the code. To fix: make docs\n")
        return 1
    return 0


def _renew(page: Path, *, write: bool) -> bool:
    """Whether the page was stale; then it is written, or the difference shown."""
    name = str(page.relative_to(ROOT))
    before = page.read_text()
    after = generated(before, name)
    if after == before:
        return False
    if write:
        page.write_text(after)
        sys.stdout.write(f"{name}: written\n")
    else:
        sys.stdout.writelines(unified_diff(before.splitlines(keepends=True), after.splitlines(keepends=True), name, f"{name} (from code)"))
    return True


if __name__ == "__main__":
    sys.exit(main())
