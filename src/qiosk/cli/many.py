"""Commands that take several files: a mistake in one of them does not stop the others."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import typer

from qiosk.cli.output import reported

T = TypeVar("T")


class EachFile:
    """The files of a command, and the highest exit ``status`` of them so far."""

    def __init__(self, files: Sequence[str]) -> None:
        self._files = files
        self.status = 0
        if files.count("-") > 1:
            raise typer.BadParameter("standard input can be read only once, found - twice", param_hint="FILE")

    @property
    def are_several(self) -> bool:
        """Whether there is more than one."""
        return len(self._files) > 1

    def refuse_if_several(self, **options: object) -> None:
        """Raise BadParameter for an option, by name, that is given (not None) and means one file."""
        for name, value in options.items():
            if self.are_several and value is not None:
                raise typer.BadParameter("must not be given for several files", param_hint=f"--{name}")

    def each(self, do: Callable[[str], T], **options: object) -> Iterator[T]:
        """What ``do`` returns for each file. Errors are printed as by ``reported``, of several files with their names;
        the exit of a single file is raised.
        """
        for file in self._files:
            try:
                with reported(file if self.are_several else None, **options):
                    found = do(file)
            except typer.Exit as ended:
                if not self.are_several:
                    raise
                self.end_with(ended.exit_code)
            else:
                yield found

    def end(self) -> None:
        """Raise the exit with the status, unless that is 0."""
        if self.status:
            raise typer.Exit(self.status)

    def end_with(self, status: int) -> None:
        """Let the command end with this status, unless another file's is higher."""
        self.status = max(self.status, status)
