"""Run as a process of its own: writes notes one batch after another, and says on stdout which are answered."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

from tests.integration.storage.notes import JumpingClock, Note, Notes, writing


async def main(folder: Path, prefix: str, count: int) -> None:
    async with writing(folder, JumpingClock(), Notes()) as (writer, _):
        loop = asyncio.get_running_loop()
        os.write(1, b"ready\n")
        for number in range(count):
            futures: list[asyncio.Future[Any]] = [loop.create_future() for _ in range(3)]
            for part, future in enumerate(futures):
                writer.submit(Note(f"{prefix}-{number}-{part}"), future=future)
            await asyncio.gather(*futures)
            os.write(1, f"told {prefix}-{number}\n".encode())


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
