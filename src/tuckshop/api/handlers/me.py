"""What a key asks about itself."""

from __future__ import annotations

from tuckshop.api.routing import Call


async def show_me(call: Call) -> object:
    assert call.holder is not None
    return await call.services.mine.show(call.holder)


async def rotate_me(call: Call) -> object:
    assert call.holder is not None
    assert call.presented is not None
    return await call.services.self_rotation.rotate(call.actor, call.holder, call.presented)
