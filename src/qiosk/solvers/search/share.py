"""Which of the restarts of a search a run makes, where several runs divide them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Share:
    """Part number ``index`` of ``count`` parts of a sequence, which are as even as can be.

    >>> [list(Share(index, 3).of(5)) for index in range(3)]
    [[0], [1, 2], [3, 4]]
    """

    index: int = 0
    count: int = 1

    def of(self, total: int) -> range:
        """The numbers of this part among 0..total - 1; none where there are fewer than parts."""
        return range(self.index * total // self.count, (self.index + 1) * total // self.count)


WHOLE = Share()
"""All of it."""
