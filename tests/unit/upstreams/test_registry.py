"""Which upstream serves a model, and what a change does to pools."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from tuckshop.domain.records import Reach, UpstreamRecord
from tuckshop.storage.sealing import SealError
from tuckshop.upstreams.base_url import BaseUrl
from tuckshop.upstreams.registry import UpstreamRegistry


class FakePool:
    def __init__(self, base_url: BaseUrl) -> None:
        self.base_url = base_url
        self.is_retired = False
        self.open_connections = 1
        self.dialling = 0

    def retire(self) -> None:
        self.is_retired = True


def record(name: str, **fields: Any) -> UpstreamRecord:
    return UpstreamRecord(
        **{
            "id": f"upr_{name}",
            "workspace_id": "wsp_default",
            "name": name,
            "family": "openai",
            "profile": "openai",
            "base_url": "https://a.example/v1",
            "models": None,
            "reach": "any",
            "credential_source": "sealed",
            "sealed": b"one",
            "last4": None,
            **fields,
        }
    )


def unseal(record: UpstreamRecord) -> str:
    if record.sealed is None:
        raise SealError("none")
    return record.sealed.decode()


def registry(unseal: Callable[[UpstreamRecord], str] = unseal) -> UpstreamRegistry:
    def connect(base_url: BaseUrl, reach: Reach) -> Any:
        return FakePool(base_url)

    return UpstreamRegistry(connect=connect, unseal=unseal)


def pool_of(found: UpstreamRegistry, name: str) -> FakePool:
    upstream = found.get(name)
    assert upstream is not None
    return cast("FakePool", upstream.pool)


def serving(found: UpstreamRegistry, model: str) -> str | None:
    upstream = found.serving(model)
    return None if upstream is None else upstream.name


def test_a_model_goes_to_the_first_that_serves_it() -> None:
    found = registry()
    found.follow([record("a", models=("gpt-4o*",)), record("b"), record("c")])

    assert serving(found, "gpt-4o-mini") == "a"
    assert serving(found, "o3") == "b"
    named = found.named_in("c/o3")
    assert named is not None
    assert named.name == "c"
    assert found.named_in("o3") is None
    assert found.named_in("nobody/o3") is None


def test_one_without_a_credential_is_passed_over_unless_there_is_no_other() -> None:
    found = registry()
    found.follow([record("a", credential_source=None), record("b", sealed=None), record("c")])
    assert serving(found, "o3") == "c"

    found.follow([record("a", credential_source=None)])
    assert serving(found, "o3") == "a"
    assert not found.is_usable


def test_an_empty_list_of_models_serves_none() -> None:
    found = registry()
    found.follow([record("a", models=())])

    assert serving(found, "o3") is None
    assert found.is_usable


def test_what_did_not_change_stays_the_same() -> None:
    found = registry()
    found.follow([record("a"), record("b")])
    before = found.get("a")

    found.follow([record("a"), record("b", sealed=b"two")])

    assert found.get("a") is before
    changed = found.get("b")
    assert changed is not None
    assert changed.credential == "two"


def test_a_pool_is_kept_for_a_new_credential_and_retired_for_a_new_address() -> None:
    found = registry()
    found.follow([record("a")])
    pool = pool_of(found, "a")

    found.follow([record("a", sealed=b"two", models=("o3",), profile="compatible")])
    assert pool_of(found, "a") is pool
    assert not pool.is_retired

    found.follow([record("a", base_url="https://b.example/v1")])
    assert pool.is_retired
    assert pool_of(found, "a") is not pool
    assert len(found.pools) == 2  # its last calls run
    pool.open_connections = 0
    assert found.pools == [pool_of(found, "a")]


def test_a_removed_one_is_retired_and_one_added_by_its_name_is_another() -> None:
    found = registry()
    found.follow([record("a")])
    pool = pool_of(found, "a")

    found.follow([])
    assert pool.is_retired
    assert found.get("a") is None
    found.follow([record("a", id="upr_other")])
    assert pool_of(found, "a") is not pool
