"""Numbers about the source: ``python -m tools.measure [FOLDER]``. Run it on two checkouts to compare them."""

from __future__ import annotations

import ast
import statistics
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from tools.imports import SOURCE, Package, cycles, folder_graph, read_package

LONG_MODULE = 300  # lines


def main(source: Path) -> None:
    """Print the numbers of the package in the folder ``source``."""
    package = read_package(source)
    lines = {name: len(path.read_text().splitlines()) for name, path in package.modules.items()}
    functions = sorted(length for path in package.modules.values() for length in _function_lengths(path))
    long = [name for name, count in lines.items() if count > LONG_MODULE]
    tenths = statistics.quantiles(functions, n=10)
    print(f"modules              {len(lines)}")
    print(f"lines                {sum(lines.values())}")
    print(f"modules > {LONG_MODULE} lines  {len(long)} ({len(long) / len(lines):.1%})")
    print(f"functions            {len(functions)}, lines p50 {statistics.median(functions):.0f}, p90 {tenths[8]:.0f}")
    print(f"arrows of packages   {folder_graph(package, 1, below=source.name).number_of_edges()}")
    print(f"arrows of folders    {_folder_arrows(package)}")
    for lazy in (False, True):
        found = cycles(package.graph(lazy=lazy))
        print(f"cycles, {'with' if lazy else 'without'} imports in functions: {len(found)}")
        for group in found:
            print("   ", *group)
    print("files per folder     ", *(f"{folder} {count}," for folder, count in _files(package, source)))


def _files(package: Package, source: Path) -> list[tuple[str, int]]:
    counted = Counter(path.parent.relative_to(source.parent).as_posix() for path in package.modules.values())
    return counted.most_common()


def _folder_arrows(package: Package) -> int:
    def folder(name: str) -> Path:
        return package.modules[name].parent

    return len(
        {(folder(i.importer), folder(i.imported)) for i in package.imports if folder(i.importer) != folder(i.imported)}
    )


def _function_lengths(path: Path) -> Iterator[int]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield (node.end_lineno or node.lineno) - node.lineno + 1


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve() if sys.argv[1:] else SOURCE)
