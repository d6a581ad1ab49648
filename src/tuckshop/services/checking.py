"""The field `moderation`, of a group and of the workspace: read, and held against the upstreams that there are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec import UNSET, UnsetType

from tuckshop.domain.errors import InvalidFieldError, InvalidFieldsError
from tuckshop.domain.globs import can_overlap
from tuckshop.domain.moderation import CATEGORIES, NO_MODERATION, Moderation
from tuckshop.domain.records import UpstreamRecord
from tuckshop.services.fields import InvalidValueError
from tuckshop.storage.rows import text_of_part


def column_of(sent: Moderation) -> str | None:
    """What is stored of it, in its normal form; None: nothing is checked, and nothing else said."""
    unknown = sorted(sent.thresholds.keys() - set(CATEGORIES))
    if unknown:
        known = ", ".join(CATEGORIES)
        raise InvalidValueError(f"{unknown[0]!r} is no category; there are {known}", ".thresholds")
    normal = Moderation(
        mode=sent.mode,
        fail=sent.fail,
        thresholds=dict(sorted(sent.thresholds.items())),
        unreadable="pass" if sent.unreadable == "pass" else UNSET,
        upstream=sent.upstream or UNSET,
        outputs=UNSET if sent.checks_outputs == "off" else sent.outputs,
    )
    return None if normal == NO_MODERATION else text_of_part(normal)


def check_offered(
    sent: Moderation | UnsetType | None,
    models: Sequence[str] | None,
    upstreams: Iterable[UpstreamRecord],
) -> None:
    """
    Does somebody check what *sent* wants checked, whichever of *upstreams* serves the *models*?

    Raises:
        InvalidFieldsError: Nobody does; it says what to do.
    """
    if not isinstance(sent, Moderation) or not sent.checks_anything:
        return
    known = {upstream.name: upstream for upstream in upstreams}
    if sent.upstream:
        if sent.upstream not in known:
            raise _refusal("moderation.upstream", "there is no upstream of this name")
        return
    for upstream in known.values():
        if upstream.profile == "compatible" and _may_serve(upstream, models):
            raise _refusal(
                "moderation",
                f"the upstream {upstream.name}, which may serve calls here, offers no moderation of its own: name one"
                ' that does as "upstream", or turn the mode off',
            )


def _may_serve(upstream: UpstreamRecord, models: Sequence[str] | None) -> bool:
    if upstream.models is None or models is None:
        return True
    return any(can_overlap(own, wanted) for own in upstream.models for wanted in models)


def _refusal(field: str, message: str) -> InvalidFieldsError:
    return InvalidFieldsError((InvalidFieldError(field, message),))
