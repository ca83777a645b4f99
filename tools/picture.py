"""Draws the packages and their imports as ``docs/architecture.svg``: ``make picture``.

A package stands above everything that it imports. Only the arrows that no longer path implies are drawn (the
transitive reduction), so an arrow means "may use this, and all that is below it".
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from xml.sax.saxutils import escape

import networkx as nx

from tools.imports import SOURCE, Package, folder_graph, read_package

TARGET = Path(__file__).parents[1] / "docs" / "architecture.svg"

BOX_W, BEND_W, ROW_H, GAP_X, GAP_Y, MARGIN = 190, 10, 52, 20, 46, 16
LEFT_OUT = {"__main__"}  # only starts the command line
ARROW_HEAD = (
    '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
    '<path d="M0 0 L8 4 L0 8 z" fill="#8c959f"/></marker></defs>'
)
STYLE = """
  .box { fill: #f6f8fa; stroke: #57606a; stroke-width: 1.2 }
  .name { font: 600 14px ui-monospace, monospace; fill: #1f2328; text-anchor: middle }
  .inside { font: 10.5px system-ui, sans-serif; fill: #57606a; text-anchor: middle }
  .arrow { fill: none; stroke: #8c959f; stroke-width: 1.1; marker-end: url(#head) }
  @media (prefers-color-scheme: dark) {
    .box { fill: #21262d; stroke: #8b949e } .name { fill: #e6edf3 } .inside { fill: #9198a1 }
  }
"""


def draw(package: Package, root: str) -> str:
    """The picture of a package as the text of an SVG document."""
    graph = folder_graph(package, 1, below=root)
    graph.add_nodes_from(name.split(".")[1] for name in package.modules if name != root)
    graph.remove_nodes_from(LEFT_OUT)
    reduced = nx.transitive_reduction(graph)
    rank = _ranks(reduced)
    paths = {edge: _stops(edge, rank) for edge in sorted(reduced.edges)}
    rows = _rows(paths, rank)
    width = max(_row_width(row) for row in rows) + 2 * MARGIN
    height = len(rows) * (ROW_H + GAP_Y) - GAP_Y + 2 * MARGIN
    places = {node: place for y, row in enumerate(rows) for node, place in _places(row, y, width)}
    arrows = [_arrow([places[stop] for stop in stops]) for stops in paths.values()]
    boxes = [_box(name, places[name], _inside(package, f"{root}.{name}")) for name in sorted(reduced)]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" width="{width:g}">',
            "<title>The packages of Qiosk. Each one imports only packages below it.</title>",
            f"<style>{STYLE}</style>",
            ARROW_HEAD,
            *arrows,
            *boxes,
            "</svg>\n",
        ]
    )


def _ranks(graph: nx.DiGraph) -> dict[str, int]:
    """The row of each package, counted from the bottom: as low as the packages that it imports allow."""
    rank: dict[str, int] = {}
    for name in reversed(list(nx.lexicographical_topological_sort(graph))):
        rank[name] = 1 + max((rank[below] for below in graph.successors(name)), default=-1)
    return rank


def _stops(edge: tuple[str, str], rank: dict[str, int]) -> list[str]:
    """The nodes that an arrow passes: its ends, and a bend in each row between them."""
    tail, head = edge
    return [tail, *(f"{tail}>{head}@{level}" for level in range(rank[tail] - 1, rank[head], -1)), head]


def _rows(paths: dict[tuple[str, str], list[str]], rank: dict[str, int]) -> list[list[str]]:
    """Packages and bends by row, from the top, each one near to what it is joined with (barycentres)."""
    joined = nx.Graph()
    joined.add_nodes_from(sorted(rank))
    for stops in paths.values():
        nx.add_path(joined, stops)
    levels = rank | {stop: int(stop.rpartition("@")[2]) for stops in paths.values() for stop in stops[1:-1]}
    rows = [sorted(node for node in levels if levels[node] == level) for level in range(max(levels.values()), -1, -1)]
    at = {node: (i + 0.5) / len(row) for row in rows for i, node in enumerate(row)}
    for _ in range(12):
        for row in (*rows, *reversed(rows)):
            centre = {node: _mean([at[other] for other in joined[node]] or [at[node]]) for node in row}
            row.sort(key=lambda node: (centre[node], node))
            at.update({node: (i + 0.5) / len(row) for i, node in enumerate(row)})
    return rows


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)


def _is_bend(node: str) -> bool:
    return "@" in node


def _row_width(row: list[str]) -> float:
    return sum(BEND_W if _is_bend(node) else BOX_W for node in row) + GAP_X * (len(row) - 1)


def _places(row: list[str], y: int, width: float) -> Iterator[tuple[str, tuple[float, float]]]:
    """The middle of each node's upper edge."""
    x = (width - _row_width(row)) / 2
    for node in row:
        node_width = BEND_W if _is_bend(node) else BOX_W
        yield node, (x + node_width / 2, MARGIN + y * (ROW_H + GAP_Y))
        x += node_width + GAP_X


def _inside(package: Package, name: str) -> str:
    """The subfolders of a package, or how many modules it has."""
    parts = [module.removeprefix(f"{name}.").split(".") for module in package.modules if module.startswith(f"{name}.")]
    folders = Counter(part[0] for part in parts if len(part) > 1)
    if folders:
        return " · ".join(sorted(folders))
    return f"{len(parts)} modules" if parts else "one module"


def _box(name: str, place: tuple[float, float], inside: str) -> str:
    x, y = place
    lines = [inside] if len(inside) <= 30 else _halves(inside)
    texts = "".join(
        f'<text class="inside" x="{x:g}" y="{y + 33 + 12 * i:g}">{escape(line)}</text>' for i, line in enumerate(lines)
    )
    return (
        f'<rect class="box" x="{x - BOX_W / 2:g}" y="{y:g}" width="{BOX_W}" height="{ROW_H}" rx="6"/>'
        f'<text class="name" x="{x:g}" y="{y + 18:g}">{escape(name)}</text>{texts}'
    )


def _halves(text: str) -> list[str]:
    words = text.split(" · ")
    half = (len(words) + 1) // 2
    return [" · ".join(words[:half]), " · ".join(words[half:])]


def _arrow(stops: list[tuple[float, float]]) -> str:
    """A curve from the lower edge of the first box to the upper edge of the last, straight down through each row."""
    path = [f"M{stops[0][0]:g} {stops[0][1] + ROW_H:g}"]
    for (x1, y1), (x2, y2) in pairwise(stops):
        middle = (y1 + ROW_H + y2) / 2
        path.append(f"C{x1:g} {middle:g} {x2:g} {middle:g} {x2:g} {y2:g}")
        if (x2, y2) != stops[-1]:
            path.append(f"V{y2 + ROW_H:g}")
    return f'<path class="arrow" d="{" ".join(path)}"/>'


if __name__ == "__main__":
    TARGET.write_text(draw(read_package(), SOURCE.name))
