"""
The list of erasures beside the ledger: which members were erased, and when (P10).

It is written before anything is erased, so that an erasure which a crash interrupts is finished by the next start, and
it outlives the ledger: after a restore the members it names are erased again before anybody is served (P4). It holds
ids, no names. One line of JSON each, only ever added to; a line that a crash cut off was never begun.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from tuckshop.domain.errors import StoreError
from tuckshop.storage.data_folder import sync_file

ERASURES_NAME: Final = "erasures.jsonl"


@dataclass(frozen=True, slots=True)
class Erasure:
    """One member who was to be erased."""

    member_id: str
    at_us: int
    has_ended: bool  # with the group: no trace of the external id stays either
    is_done: bool


class ErasureList:
    """The file. For worker threads: it waits for the disk."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def beside(cls, ledger: Path) -> ErasureList:
        """That of *ledger*, whether it is there already or not."""
        return cls(ledger.with_name(ERASURES_NAME))

    def begin(self, member_ids: Collection[str], at_us: int, *, has_ended: bool) -> None:
        """
        Write down, for good, that these are to be erased.

        Raises:
            StoreError: It cannot be written; then nothing may be erased.
        """
        kind = "ended" if has_ended else "erased"
        self._add([{kind: member_id, "at": at_us} for member_id in member_ids])

    def done(self, member_ids: Collection[str]) -> None:
        """Write down that nothing is left to do about these."""
        self._add([{"done": member_id} for member_id in member_ids])

    def read(self) -> list[Erasure]:
        """
        Every member on the list once, as the last line about them says.

        Raises:
            StoreError: It cannot be read, so nobody knows whom to forget.
        """
        found: dict[str, Erasure] = {}
        for number, line in enumerate(self._lines(), 1):
            try:
                entry = json.loads(line)
                self._take(entry, found)
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise StoreError(
                    f"{self.path} is damaged in line {number}: restore it from a backup"
                ) from error
        return list(found.values())

    def merge(self, other: Path) -> int:
        """
        Add what another such list knows and this one does not; how many members that are.

        Of a member whom both know, the later erasure counts. What the other one says was not finished is begun again,
        also where this one says that it was: there may be something from before that end.
        """
        known = {one.member_id: one for one in self.read()}
        new = []
        for one in ErasureList(other).read():
            mine = known.get(one.member_id)
            if mine is None:
                new.append(one)
            elif one.at_us > mine.at_us:
                new.append(replace(one, has_ended=one.has_ended or mine.has_ended))
            elif mine.is_done and not one.is_done:
                new.append(mine)
        if new:
            self._add([_line_of(one) for one in new])
        return len(new)

    def copy(self, target: Path, *, unfinished: Collection[Erasure] = ()) -> bool:
        """
        A copy of the list at the new file *target*, for its owner only; False: there is none.

        Args:
            unfinished: Stay so in the copy, though they may have been finished meanwhile.
        Raises:
            StoreError: It cannot be read, or *target* not be written.
        """
        if not self.path.exists():
            return False
        known = self.read()
        lines = [_line_of(one) for one in known]
        lines += [{"done": one.member_id} for one in known if one.is_done]
        lines += [_line_of(one) for one in unfinished]
        ErasureList(target)._add(lines)
        return True

    def _take(self, entry: dict[str, object], found: dict[str, Erasure]) -> None:
        done = entry.get("done")
        if isinstance(done, str):
            before = found[done]
            found[done] = Erasure(done, before.at_us, before.has_ended, True)
            return
        has_ended = "ended" in entry
        member_id = str(entry["ended" if has_ended else "erased"])
        found[member_id] = Erasure(member_id, int(str(entry["at"])), has_ended, False)

    def _lines(self) -> list[bytes]:
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return []
        except OSError as error:
            raise StoreError(f"{self.path} cannot be read: {error.strerror}") from error
        return content.split(b"\n")[:-1]  # what has no end was cut off

    def _add(self, entries: list[dict[str, object]]) -> None:
        text = "".join(f"{json.dumps(entry)}\n" for entry in entries)
        try:
            is_new = not self.path.exists()
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
            with os.fdopen(descriptor, "r+b") as file:
                whole = file.read()
                file.truncate(whole.rfind(b"\n") + 1)  # less what was cut off
                file.seek(0, os.SEEK_END)
                file.write(text.encode())
                file.flush()
                os.fsync(file.fileno())
            if is_new:
                sync_file(self.path.parent)
        except OSError as error:
            raise StoreError(f"{self.path} cannot be written: {error.strerror}") from error


def _line_of(one: Erasure) -> dict[str, object]:
    """As it stands on the list when it begins."""
    return {"ended" if one.has_ended else "erased": one.member_id, "at": one.at_us}
