"""How fast each format becomes a started solver, next to general parsers that only read the JSON."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import msgspec
import numpy as np
import orjson

from benchmarks.ingest.problems import REPLICAS, medians, quadratic
from qiosk.formats import columns, registry
from qiosk.formats.compression import compressed, decompressed
from qiosk.formats.qio import json_codec as qio_json
from qiosk.formats.qio import protobuf_writer as qio_protobuf_writer
from qiosk.model.compile import compile_problem
from qiosk.solvers.samplers.planner import plan, warm_up


@dataclass(frozen=True)
class Ingestion:
    """Median seconds of one format: reading its bytes, and reading them until every replica was swept once.

    ``parser_s``: of the fastest general JSON parser, on the same bytes, unpacked by the general library where they are
    packed; on the JSON document of the same problem for formats that are none.
    """

    form: str
    coefficients: str
    terms: int
    size_bytes: int
    read_s: float
    start_s: float
    parser: str
    parser_s: float

    @property
    def line(self) -> str:
        """A row of the table."""
        cells = (
            self.form,
            self.coefficients,
            f"{self.size_bytes / 1e6:.1f}",
            f"{self.terms / self.read_s / 1e6:.2f}",
            f"{self.terms / self.start_s / 1e6:.2f}",
            f"{self.parser_s / self.read_s:.1f}",
            f"{self.start_s / self.parser_s:.2f}",
        )
        return "| " + " | ".join(cells) + " |"


HEAD = (
    "| format | coefficients | MB | read, 10⁶ terms/s | started, 10⁶ terms/s "
    "| times as fast as the fastest general parser | start / parser |\n| --- | --- | --- | --- | --- | --- | --- |"
)


def measure(terms: int, coefficients: str, rounds: int) -> Iterator[Ingestion]:
    """Every format with the same problem, by turns with the parsers."""
    problem = quadratic(terms, coefficients)
    text = qio_json.write(problem)
    packed = {"JSON": text, "JSON.gz": compressed(text, "gzip"), "JSON.zst": compressed(text, "zstd")}
    data = packed | {"protobuf": qio_protobuf_writer.write(problem), "columns": columns.write(problem)}
    unpack: dict[str, Callable[[bytes], bytes]] = {"JSON.gz": gzip.decompress, "JSON.zst": decompressed}
    plan_of = partial(plan, replicas=REPLICAS)
    warm_up(plan_of(compile_problem(problem)))

    def start(content: bytes) -> None:
        sampler = plan_of(compile_problem(registry.read(content)))
        sampler.sweep(sampler.start((1,)), np.array([1.0]))

    def parse(load: Callable[[bytes], object], form: str) -> None:
        load(unpack.get(form, bytes)(packed[form]))

    jobs: dict[str, Callable[[], object]] = {}
    for form, content in data.items():
        jobs[f"read {form}"] = partial(registry.read, content)
        jobs[f"start {form}"] = partial(start, content)
    for form in packed:
        jobs[f"orjson {form}"] = partial(parse, orjson.loads, form)
        jobs[f"msgspec {form}"] = partial(parse, msgspec.json.decode, form)
    found = medians(jobs, rounds)
    for form, content in data.items():
        same = form if form in packed else "JSON"
        parser_s, parser = min((found[f"{name} {same}"], name) for name in ("orjson", "msgspec"))
        read_s, start_s = found[f"read {form}"], found[f"start {form}"]
        yield Ingestion(form, coefficients, terms, len(content), read_s, start_s, parser, parser_s)


def write(folder: Path, rows: Sequence[Ingestion]) -> None:
    """``ingest.md`` and ``ingest.json``."""
    folder.mkdir(exist_ok=True)
    title = f"# From bytes to a solver: {rows[0].terms} quadratic terms, {REPLICAS} replicas swept once"
    (folder / "ingest.md").write_text("\n".join([title, "", HEAD, *(row.line for row in rows), ""]))
    (folder / "ingest.json").write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")
