"""What `/metrics` tells: sums, and nothing that points at anybody (K17)."""

from __future__ import annotations

from tuckshop.charge_watch import Sums
from tuckshop.domain.errors import InvalidApiKeyError
from tuckshop.domain.watch import Ended, Watch
from tuckshop.metrics import Metrics


def test_ended_calls_are_summed_by_endpoint_status_and_model() -> None:
    metrics = Metrics()
    watch: Watch = metrics
    call = Ended("chat", "gpt-4o-mini", 200, 10, 4, 5, 7_000, True, False)

    watch.ended([call, call, call._replace(status=None, endpoint_group="embeddings")])

    page = metrics.page().decode()
    assert 'tuckshop_requests_total{endpoint="chat",status="200"} 2.0' in page
    assert 'tuckshop_requests_total{endpoint="embeddings",status="none"} 1.0' in page
    assert 'tuckshop_tokens_total{kind="cached",model="gpt-4o-mini"} 12.0' in page
    assert 'tuckshop_cost_nano_usd_total{model="gpt-4o-mini"} 21000.0' in page


def test_a_call_that_cost_nothing_makes_no_row_of_its_model() -> None:
    """Else whoever calls with a thousand names makes a thousand rows."""
    metrics = Metrics()

    metrics.ended(
        [
            Ended("models", "", 200, 0, 0, 0, 0, True, False),
            Ended("chat", "x", 502, 0, 0, 0, 0, False, False),
        ]
    )

    assert "model=" not in metrics.page().decode()


def test_refusals_and_alarms_stand_at_0_before_the_first() -> None:
    """So that an increase can be seen."""
    metrics = Metrics()

    page = metrics.page().decode()
    metrics.refused(InvalidApiKeyError.code)
    metrics.alarm("unconfirmed", 3)

    assert 'tuckshop_refusals_total{code="invalid_api_key"} 0.0' in page
    assert 'tuckshop_alarms_total{alarm="overrun"} 0.0' in page
    assert 'tuckshop_refusals_total{code="invalid_api_key"} 1.0' in metrics.page().decode()
    assert 'tuckshop_alarms_total{alarm="unconfirmed"} 3.0' in metrics.page().decode()


def test_buckets_are_cumulative_and_a_bound_belongs_to_its_bucket() -> None:
    metrics = Metrics()

    for size in (1, 2, 3, 5_000):
        metrics.committed(size, 0.001)

    page = metrics.page().decode()
    for bound, count in (("1.0", 1), ("2.0", 2), ("4.0", 3), ("1000.0", 3), ("+Inf", 4)):
        assert f'tuckshop_commit_batch_size_bucket{{le="{bound}"}} {count}.0' in page
    assert "tuckshop_commit_batch_size_count 4.0" in page
    assert "tuckshop_commit_batch_size_sum 5006.0" in page
    assert 'tuckshop_commit_seconds_bucket{le="0.001"} 4.0' in page


def test_gauges_are_read_when_asked_for() -> None:
    metrics, waiting = Metrics(), [0]
    metrics.read_gauges({"tuckshop_waiting": lambda: waiting[0]})

    waiting[0] = 7

    assert "tuckshop_waiting 7.0" in metrics.page().decode()
    assert "process_resident_memory_bytes" in metrics.page().decode()


def test_what_calls_were_charged_is_told_of_those_that_have_a_model_and_were_settled() -> None:
    metrics = Metrics()
    call = Ended("chat", "gpt-4o-mini", 200, 10, 4, 5, 7_000, True, False)

    metrics.dispatched()
    metrics.ended(
        [
            call,
            call._replace(is_guessed=True),
            call._replace(cost_nano=0),
            call._replace(is_settled=False, cost_nano=0),
            call._replace(model="", cost_nano=0),
        ]
    )

    assert metrics.charges() == Sums(dispatched=1, settled=3, charged=2, guessed=1)
