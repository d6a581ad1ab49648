from __future__ import annotations

from collections.abc import Iterator

import pytest

from tuckshop.domain.errors import RefusalError, TuckshopError

# The refusals of the data plane, with the status each is answered with.
_STATUS_OF_CODE = {
    "invalid_api_key": 401,
    "key_revoked": 401,
    "key_expired": 401,
    "key_archived": 401,
    "key_paused": 403,
    "member_paused": 403,
    "group_paused": 403,
    "not_found": 404,
    "method_not_allowed": 405,
    "endpoint_not_allowed": 403,
    "model_not_allowed": 403,
    "parameter_not_allowed": 400,
    "model_not_found": 404,
    "model_not_priced": 403,
    "insufficient_quota": 429,
    "rate_limit_exceeded": 429,
    "request_exceeds_limit": 400,
    "denied_content": 400,
    "personal_data": 400,
    "input_too_long": 400,
    "system_message_not_allowed": 400,
    "outside_hours": 403,
    "network_not_allowed": 403,
    "invalid_request_body": 400,
    "request_too_large": 413,
    "moderation_blocked": 400,
    "unsupported_content_encoding": 415,
    "invalid_request": 400,
    "request_timeout": 408,
    "upstream_unavailable": 502,
    "upstream_timeout": 504,
    "upstream_overloaded": 503,
    "server_busy": 503,
}


def refusals(root: type[RefusalError] = RefusalError) -> Iterator[type[RefusalError]]:
    for found in root.__subclasses__():
        yield found
        yield from refusals(found)


@pytest.mark.parametrize("refusal", list(refusals()))
def test_a_class_is_named_like_its_code(refusal: type[RefusalError]) -> None:
    camel = "".join(word.capitalize() for word in refusal.code.split("_"))

    # `NotFoundError` is what the admin side says of a group; the data plane's is told apart.
    assert refusal.__name__ in {f"{camel}Error", f"{camel}RefusalError"}
    assert refusal.__doc__


def test_every_refusal_has_its_code_and_status() -> None:
    found = {refusal.code: refusal.status for refusal in refusals()}

    assert found == _STATUS_OF_CODE
    assert len(list(refusals())) == len(found)


def test_whatever_is_raised_on_purpose_has_one_root() -> None:
    assert issubclass(RefusalError, TuckshopError)
