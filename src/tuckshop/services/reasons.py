"""Reasons: what somebody says who does what has to be accounted for (K16)."""

from __future__ import annotations

from tuckshop.domain.errors import InvalidFieldError
from tuckshop.services import fields
from tuckshop.services.fields import InvalidValueError


def reason_of(value: str) -> str:
    """
    A reason, trimmed.

    Raises:
        InvalidFieldError: It says nothing, or too much.
    """
    try:
        reason = fields.text(value)
    except InvalidValueError as error:
        raise InvalidFieldError("reason", str(error)) from None
    if not reason:
        raise InvalidFieldError("reason", "is empty: say why, for whoever asks later")
    return reason
