"""Globs over model ids and endpoint groups: ``*`` is any run of characters within one ``/`` segment."""

from __future__ import annotations


def matches(glob: str, name: str) -> bool:
    """
    Whether *glob* covers *name*.

    Only ``*`` is special; it does not cross ``/``. Case counts, nothing is trimmed (K9). No backtracking: each
    literal piece is looked for once, behind the piece before it.
    """
    if "*" not in glob:
        return glob == name
    if "/" not in glob:
        return "/" not in name and _segment_matches(glob, name)
    glob_segments = glob.split("/")
    segments = name.split("/")
    return len(glob_segments) == len(segments) and all(
        map(_segment_matches, glob_segments, segments)
    )


def _segment_matches(glob: str, segment: str) -> bool:
    """*segment* has no ``/``. Taking each middle piece at its first place leaves most for the rest."""
    first, *middle = glob.split("*")
    if not middle:
        return glob == segment
    last = middle.pop()
    end = len(segment) - len(last)
    if end < len(first) or not segment.startswith(first) or not segment.endswith(last):
        return False
    place = len(first)
    for piece in middle:
        found = segment.find(piece, place, end)
        if found < 0:
            return False
        place = found + len(piece)
    return True


def can_overlap(glob: str, other: str) -> bool:
    """Whether there is any name that both globs cover."""
    if "*" not in glob or "*" not in other:
        return matches(glob, other) or matches(other, glob)
    # reach[j]: the rest of `glob` seen so far and `other[j:]` have a name in common.
    reach: list[bool] = []
    for i in range(len(glob), -1, -1):
        after, reach = reach, [False] * (len(other) + 1)
        for j in range(len(other), -1, -1):
            mine, theirs = glob[i : i + 1], other[j : j + 1]
            if not mine and not theirs:
                reach[j] = True
            elif mine == "*":
                reach[j] = after[j] or (bool(theirs) and theirs != "/" and reach[j + 1])
            elif theirs == "*":
                reach[j] = reach[j + 1] or (bool(mine) and mine != "/" and after[j])
            else:
                reach[j] = bool(mine) and mine == theirs and after[j + 1]
    return reach[0]
