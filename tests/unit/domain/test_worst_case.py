"""The worst case in money, as a sentence and against calls that take all they can get (M1)."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuckshop.domain.globs import matches
from tuckshop.domain.limits import Limit, Rolling, parse_limit
from tuckshop.domain.windows import ZoneHistory, span_at
from tuckshop.domain.worst_case import GroupTerms, OwnTerms, sentence, worst_case

BERLIN = ZoneHistory.of("Europe/Berlin")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def us(text: str) -> int:
    return (datetime.fromisoformat(text) - _EPOCH) // timedelta(microseconds=1)


NOW = us("2026-11-25T12:00:00+00:00")


def limits(*texts: str) -> tuple[Limit, ...]:
    return tuple(parse_limit(text) for text in texts)


def said(
    members: int | dict[OwnTerms, int] = 100,
    *,
    each: tuple[str, ...] = (),
    shared: tuple[str, ...] = (),
    above: tuple[str, ...] = (),
    models: tuple[str, ...] | None = None,
    now_us: int = NOW,
) -> str:
    people = {OwnTerms(): members} if isinstance(members, int) else members
    terms = GroupTerms(
        each=limits(*each),
        shared=limits(*shared),
        above=limits(*above),
        model_lists=() if models is None else (models,),
    )
    return sentence(worst_case(terms, people), BERLIN, now_us)


def test_the_sentence_of_the_contract() -> None:
    assert said(each=("$0.20/month",)) == (
        "100 members: at most $20.00 a month; renews 1 Dec 00:00 Europe/Berlin"
    )


def test_what_they_share_bounds_the_sum() -> None:
    assert said(each=("$0.20/month",), shared=("$5/month",)).startswith(
        "100 members: at most $5.00 a month;"
    )


def test_several_windows_stand_side_by_side_the_shorter_first() -> None:
    assert said(each=("$1 total", "$0.20/month", "$0.05/day")) == (
        "100 members: at most $5.00 a day (renews 26 Nov 00:00), $20.00 a month (renews 1 Dec 00:00)"
        " and $100.00 in all; times are those of Europe/Berlin"
    )


def test_a_bound_that_a_longer_window_implies_is_not_said() -> None:
    assert said(1, each=("$5/month", "$3 total")) == "1 member: at most $3.00 in all"


def test_a_limit_of_ones_own_replaces_that_of_each() -> None:
    people = {OwnTerms(): 98, OwnTerms(limits("$2/month")): 2}

    assert "$23.60 a month" in said(people, each=("$0.20/month",))


def test_members_of_several_windows_are_summed_where_one_holds_the_other() -> None:
    people = {OwnTerms(limits("$2/month")): 1, OwnTerms(limits("$3 total")): 1}

    assert "$5.00 a month" in said(people)


def test_a_member_without_a_limit_leaves_the_sum_without_end() -> None:
    people = {OwnTerms(limits("$2/month")): 1, OwnTerms(): 1}

    assert said(people) == (
        "2 members: no limit on money holds for all calls, so they can spend without end"
    )


def test_limits_on_models_hold_only_where_no_other_model_is_allowed() -> None:
    on_models = ("$1/month on gpt-4o*", "$2/month on text-embedding-3-small")

    assert "without end" in said(1, each=on_models)
    assert "without end" in said(1, each=on_models, models=("gpt-4o-mini", "o3"))
    assert "$1.00 a month" in said(1, each=on_models, models=("gpt-4o-mini", "gpt-4o"))
    assert "$3.00 a month" in said(
        1, each=on_models, models=("gpt-4o-mini", "text-embedding-3-small")
    )


def test_of_no_members_it_says_what_one_could_spend() -> None:
    assert said(0, each=("$0.20/month",), shared=("$50/month",)) == (
        "No members yet; one could spend at most $0.20 a month; renews 1 Dec 00:00 Europe/Berlin"
    )
    assert said(0) == "No members yet: no limit on money, so they can spend without end"


def test_requests_and_tokens_bound_no_money() -> None:
    assert "no limit on money, " in said(each=("35 requests/minute", "1600 tokens/day"))


def test_a_window_that_rolls_is_named_as_its_own() -> None:
    assert said(each=("$0.10/5 hours",)) == "100 members: at most $10.00 in any 5 hours"


def test_the_year_is_said_when_it_is_another_one() -> None:
    december = us("2026-12-24T12:00:00+00:00")

    assert "renews 1 Jan 2027 00:00" in said(each=("$0.20/month",), now_us=december)


@pytest.mark.parametrize(("above", "shown"), [("$7/month", "$7.00"), ("$90/month", "$20.00")])
def test_the_limits_of_all_groups_together_count(above: str, shown: str) -> None:
    assert f"at most {shown} a month" in said(each=("$0.20/month",), above=(above,))


TEXTS = (
    *("$1/day", "$3/day", "$2/week", "$4/month", "$6/year", "$8 total", "$2/5 hours", "$5/2 days"),
    *("$2/month on gpt-4o*", "$1/day on o3", "$3 total on gpt-4o, o3", "3 requests/day"),
)
MODELS = ("gpt-4o", "gpt-4o-mini", "o3")
some_limits = st.lists(st.sampled_from(TEXTS), max_size=3, unique=True).map(lambda t: limits(*t))
some_models = st.none() | st.sampled_from([("gpt-4o*",), ("gpt-4o", "o3"), ("*",)])
calls = st.lists(
    st.tuples(
        st.integers(0, 2),  # whose
        st.integers(0, 24 * 40),  # hours after now
        st.sampled_from(MODELS),
        st.integers(1, 4),  # dollars
    ),
    max_size=40,
)


@given(
    some_limits,
    some_limits,
    st.lists(st.tuples(some_limits, some_models), min_size=1, max_size=3),
    some_models,
    calls,
)
def test_no_calls_that_the_limits_let_through_cost_more(
    each: tuple[Limit, ...],
    shared: tuple[Limit, ...],
    people: list[tuple[tuple[Limit, ...], tuple[str, ...] | None]],
    models: tuple[str, ...] | None,
    wanted: list[tuple[int, int, str, int]],
) -> None:
    """M1: the bound is one, whatever is asked for in whatever order."""
    terms = GroupTerms(each=each, shared=shared, model_lists=() if models is None else (models,))
    own = [OwnTerms(*one) for one in people]
    case = worst_case(terms, Counter(own))

    let_through = _let_through(each, shared, own, models, wanted)

    for bound in case.bounds:
        spent: dict[object, int] = defaultdict(int)
        for _, at_us, _, cost in let_through:
            if isinstance(bound.window, Rolling):
                length_us = bound.window.seconds * 1_000_000
                spent[at_us] = sum(
                    c for _, t, _, c in let_through if at_us - length_us < t <= at_us
                )
            else:
                assert bound.window != "now"
                spent[span_at(bound.window, at_us, BERLIN).id] += cost
        assert max(spent.values(), default=0) <= bound.amount


def _let_through(
    each: tuple[Limit, ...],
    shared: tuple[Limit, ...],
    own: list[OwnTerms],
    models: tuple[str, ...] | None,
    wanted: list[tuple[int, int, str, int]],
) -> list[tuple[int, int, str, int]]:
    """(whose, at_us, model, cost) of the calls that a plain reading of the rules admits."""
    done: list[tuple[int, int, str, int]] = []
    for who, hours, model, dollars in sorted(wanted, key=lambda call: call[1]):
        if who >= len(own):
            continue
        at_us, cost = NOW + hours * 3_600_000_000, dollars * 1_000_000_000
        terms = own[who]
        if any(
            names is not None and not any(matches(glob, model) for glob in names)
            for names in (models, terms.models)
        ):
            continue
        kinds = {limit.kind for limit in terms.limits}
        mine = [*terms.limits, *(limit for limit in each if limit.kind not in kinds)]
        takes = [(limit, {who}) for limit in mine] + [(limit, {0, 1, 2}) for limit in shared]
        if all(_has_room(limit, whose, done, at_us, model, cost) for limit, whose in takes):
            done.append((who, at_us, model, cost))
    return done


def _has_room(
    limit: Limit,
    whose: set[int],
    done: list[tuple[int, int, str, int]],
    at_us: int,
    model: str,
    cost: int,
) -> bool:
    if limit.metric != "money" or not limit.selector.covers(model, (), "chat"):
        return True
    assert limit.window != "now"
    used = 0
    for who, then_us, its_model, its_cost in done:
        if who not in whose or not limit.selector.covers(its_model, (), "chat"):
            continue
        if isinstance(limit.window, Rolling):
            is_in = at_us - limit.window.seconds * 1_000_000 < then_us
        else:
            now_in, then_in = (span_at(limit.window, us_, BERLIN).id for us_ in (at_us, then_us))
            is_in = now_in == then_in
        used += its_cost if is_in else 0
    return used + cost <= limit.amount
