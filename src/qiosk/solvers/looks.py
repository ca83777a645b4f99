"""When the replicas of an anneal are looked at: not so often that it shows, yet with a best from early on."""

from __future__ import annotations

# A look at the replicas costs about as much as a few sweeps; so many of them in the colder half do not show, if they
# are far enough apart.
LOOKS = 8
SWEEPS_BETWEEN_LOOKS = 32


def next_look(done: int, sweeps: int, end: int) -> int:
    """Index of the sweep after which to look next, in a schedule of ``sweeps`` and a quench that is over at ``end``.

    Every doubling in the hotter half; LOOKS times in the colder half; and at the end.
    """
    half = sweeps // 2
    if done < half:
        return min(max(half, 1), SWEEPS_BETWEEN_LOOKS << (done // SWEEPS_BETWEEN_LOOKS).bit_length())
    spacing = max(SWEEPS_BETWEEN_LOOKS, half // LOOKS)
    return min(end, half + ((done - half) // spacing + 1) * spacing)
