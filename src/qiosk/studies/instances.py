"""The instances of a study: files that its patterns match, and problems of programs."""

from __future__ import annotations

import glob
import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qiosk.contract.jobs import QIO_INPUT_FORMAT
from qiosk.errors import InvalidValue, QioskError
from qiosk.formats import columns
from qiosk.formats.files import job_input, read_file
from qiosk.formats.quoted import best_known_cost, instance_name, quoted_objective
from qiosk.model.cost_function import CostFunction
from qiosk.model.digest import problem_digest
from qiosk.studies.settings import InstanceFiles

if TYPE_CHECKING:
    from qiosk.modeling import Model
    from qiosk.problem import Problem


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceFacts:
    """What is known of an instance that was read.

    ``digest`` identifies its content. ``best_known`` is the lowest known cost, or the best known objective of a model;
    None if none is known.
    """

    digest: str
    variables: int
    best_known: float | None = None
    is_model: bool = False
    is_maximized: bool = False


class Instance:
    """One instance, which is read when ``facts`` are first needed; an instance that cannot be read has an ``error``."""

    def __init__(self, name: str, files: InstanceFiles | None, path: Path | None, problem: Problem | None) -> None:
        self.name = name
        self._files = files
        self.path = path
        self._problem = problem

    @property
    def error(self) -> str | None:
        """Why the instance cannot be read; None if it can."""
        found = self._read
        return found if isinstance(found, str) else None

    @property
    def facts(self) -> InstanceFacts | None:
        """What is known of the instance; None if it cannot be read."""
        found = self._read
        return None if isinstance(found, str) else found

    @cached_property
    def _read(self) -> InstanceFacts | str:
        try:
            return self._facts()
        except QioskError as error:
            return str(error)
        except OSError as error:
            return f"{self.path}: {error.strerror or error}"

    def content(self) -> tuple[bytes, str]:
        """The input of the instance's jobs, and the name of its format. Raises OSError, InvalidInput."""
        if self.path is None or self._files is None:
            assert self._problem is not None
            return self._problem.to_blob(), QIO_INPUT_FORMAT
        file, data = str(self.path), self.path.read_bytes()
        if self._files.is_model:
            return columns.write(self._model(file, data).problem().cost_function()), columns.NAME
        return job_input(file, data, self._files.format)[:2]

    def _facts(self) -> InstanceFacts:
        if self.path is None or self._files is None:
            assert self._problem is not None
            return _facts_of(self._problem.cost_function(), None)
        file, data, given = str(self.path), self.path.read_bytes(), self._files.best_known
        if self._files.is_model:
            problem = self._model(file, data).problem().cost_function()
            known = quoted_objective(file, data, self._files.format, 0.0).get("best_known")
        else:
            problem = read_file(file, data, self._files.format)
            known = best_known_cost(file, data, self._files.format, problem)
        return _facts_of(problem, known if given is None else given)

    def _model(self, file: str, data: bytes) -> Model:
        from qiosk.modeling import Model

        assert self._files is not None
        penalty = None if self._files.penalty == "auto" else self._files.penalty
        assert not isinstance(penalty, str)
        return Model.from_file(file, data, format=self._files.format, penalty=penalty, grid=self._files.grid)


def _facts_of(problem: CostFunction, best_known: float | None) -> InstanceFacts:
    digest = problem_digest(problem)
    is_maximized = False
    if problem.metadata:
        text = json.dumps(problem.metadata, sort_keys=True, default=str)
        digest += f" {hashlib.sha256(text.encode()).hexdigest()}"
    if is_model := "model" in problem.metadata:
        from qiosk.modeling import Model

        is_maximized = Model.from_document(problem.metadata["model"]).is_maximized
    return InstanceFacts(
        digest=digest,
        variables=len(problem.variables),
        best_known=best_known,
        is_model=is_model,
        is_maximized=is_maximized,
    )


def find_instances(where: str, given: Sequence[Any], folder: Path) -> list[Instance]:
    """The instances that settings name, in their order; relative patterns begin at ``folder``.

    Files of one pattern are sorted by name. A file that several patterns match belongs to the first one. Raises
    InvalidValue for a pattern that matches no file, and for two problems of one name.
    """
    paths: dict[Path, InstanceFiles] = {}
    found: list[Instance] = []
    for number, each in enumerate(given):
        place = f"{where}: instances[{number}]"
        if not isinstance(each, InstanceFiles):
            found.append(Instance(each.name or f"problem {number}", None, None, each))
            continue
        matches = _matches(each.files, folder)
        if not matches:
            raise InvalidValue(f"{place}: must match at least one file, found none for {each.files!r} in {folder}")
        for path in matches:
            if path not in paths:
                paths[path] = each
                found.append(Instance(instance_name(path.name), each, path, None))
    _rename(found, folder)
    counts = Counter(each.name for each in found)
    if twice := next((name for name, count in counts.items() if count > 1), None):
        raise InvalidValue(f"{where}: instances: names must be different, found {twice!r} twice")
    return found


def _matches(pattern: str, folder: Path) -> list[Path]:
    """The files of a pattern, or the one with that very name."""
    try:
        if (folder / pattern).is_file():
            return [_path(folder / pattern)]
        found = glob.glob(pattern, root_dir=folder, recursive=True)
        return sorted({path for each in found if (path := _path(folder / each)).is_file()})
    except (OSError, ValueError, RecursionError):  # a name that no file can have
        return []


def _path(path: Path) -> Path:
    """A path without ``..``; links stay as they are, because the names of files tell their formats."""
    return Path(os.path.normpath(path))


def _rename(found: Iterable[Instance], folder: Path) -> None:
    """Call instances of files after their paths where the names of the files are the same."""
    by_name: dict[str, list[Instance]] = {}
    for each in found:
        by_name.setdefault(each.name, []).append(each)
    for same in by_name.values():
        for each in same if len(same) > 1 else ():
            if (path := each.path) is not None:
                each.name = str(path.relative_to(folder)) if path.is_relative_to(folder) else str(path)
