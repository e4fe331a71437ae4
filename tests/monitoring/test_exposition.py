"""The text that Prometheus reads, of one process and of several."""

from __future__ import annotations

import math
import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import (
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    Summary,
)
from prometheus_client.parser import text_string_to_metric_families

from tests.monitoring.scraping import Fresh, samples, strictly_parsed
from trio_tcp import monitoring

PROMTOOL = shutil.which("promtool")


def figures_in_use() -> Fresh:
    """Make metrics in which each figure has a value, or a hundred."""
    fresh = Fresh()

    def answer(request: str) -> str:
        return request

    fresh.metrics.timed(answer)("a")
    return fresh


def of_every_kind() -> CollectorRegistry:
    registry = CollectorRegistry()
    Counter(
        "orders", 'Orders, "so far"\nand \\ more.', ["kind"], registry=registry
    ).labels('a "quoted"\n\\ {kind}, é').inc()
    Gauge("depth", "Depth.", registry=registry).set(-math.inf)
    Histogram("size_bytes", "Size.", registry=registry).observe(3)
    Summary("wait_seconds", "Wait.", registry=registry).observe(0.1)
    Info("build", "Build.", registry=registry).info({"version": "1"})
    Gauge("nothing", "No number.", registry=registry).set(math.nan)
    return registry


async def test_the_reference_parsers_read_it() -> None:
    fresh = figures_in_use()
    text = monitoring.exposition(fresh.registry)
    families = {f.name: f for f in text_string_to_metric_families(text)}
    assert families["trio_tcp_connections"].type == "gauge"
    assert families["trio_tcp_request_duration_seconds"].type == "histogram"
    assert all(family.documentation for family in families.values())
    wanted = await fresh.metrics.expose("application/openmetrics-text; version=1.0.0")
    assert set(strictly_parsed(wanted.text.decode())) == families.keys()


@pytest.mark.skipif(PROMTOOL is None, reason="the program promtool is not installed")
def test_promtool_has_nothing_to_say() -> None:
    """It checks the format, and that names follow the rules."""
    assert PROMTOOL is not None
    text = monitoring.exposition(figures_in_use().registry)
    for each in (text, monitoring.merge({"0": text, "1": text})):
        checked = subprocess.run(
            [PROMTOOL, "check", "metrics"],
            input=each,
            capture_output=True,
            text=True,
            check=False,
        )
        assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


def test_by_default_it_is_the_whole_process() -> None:
    text = monitoring.exposition()
    assert samples(text).keys() == samples(monitoring.exposition(REGISTRY)).keys()
    assert any(name.startswith("process_") for name in samples(text))


def test_merged_each_sample_says_whose_it_is() -> None:
    one = monitoring.exposition(of_every_kind())
    merged = samples(monitoring.merge({"0": one, "1": one}))
    for name, value in samples(one).items():
        base, _, labels = name.rstrip("}").partition("{")
        for worker in "01":
            pairs = sorted([*filter(None, [labels]), f"worker={worker}"])
            found = merged.pop(f"{base}{{{','.join(pairs)}}}")
            assert found == value or (math.isnan(found) and math.isnan(value))
    assert not merged


def test_merged_texts_stay_grouped_by_metric() -> None:
    """One head for each, and all its samples below it, as the format demands."""
    one = monitoring.exposition(of_every_kind())
    merged = monitoring.merge({"0": one, "1": one})
    heads = [line for line in merged.splitlines() if line.startswith("# TYPE")]
    assert len(heads) == len(set(heads))
    assert heads == [line for line in one.splitlines() if line.startswith("# TYPE")]


def test_what_is_merged_can_be_merged_again() -> None:
    """A label ``worker`` that is there already is kept under another name."""
    registry = CollectorRegistry()
    Gauge("depth", "Depth.", ["worker"], registry=registry).labels("x").set(1)
    merged = monitoring.merge({"0": monitoring.exposition(registry)})
    assert samples(merged) == {"depth{exported_worker=x,worker=0}": 1}


def test_a_worker_that_is_gone_takes_its_gauges_with_it() -> None:
    """And its successor's counters begin at 0 in the same series: a reset."""
    fresh, successor = Fresh(), Fresh()
    fresh.metrics.timed(str.upper)("a")
    successor.metrics.timed(str.upper)
    before = {"0": monitoring.exposition(fresh.registry)}
    after = {"0": monitoring.exposition(successor.registry)}
    name = "trio_tcp_request_duration_seconds_count{function=upper,worker=0}"
    assert samples(monitoring.merge(before))[name] == 1
    assert samples(monitoring.merge(after))[name] == 0
    assert monitoring.merge({}) == ""


def test_of_two_types_the_first_counts() -> None:
    """While a new version takes over, they may not agree."""
    old, new = CollectorRegistry(), CollectorRegistry()
    Gauge("depth", "Depth.", registry=old).set(1)
    Histogram("depth", "Depth.", registry=new).observe(1)
    Gauge("height", "Height.", registry=new).set(2)
    merged = monitoring.merge(
        {"0": monitoring.exposition(old), "1": monitoring.exposition(new)}
    )
    assert samples(merged) == {
        "depth{worker=0}": 1,
        # An extra of prometheus_client's, and a metric of its own.
        "depth_created{worker=1}": samples(merged)["depth_created{worker=1}"],
        "height{worker=1}": 2,
    }


def test_a_counter_and_a_gauge_may_have_nearly_one_name() -> None:
    text = (
        "# TYPE orders_total counter\norders_total 1\n# TYPE orders gauge\norders 2\n"
    )
    merged = monitoring.merge({"0": text})
    assert samples(merged) == {"orders_total{worker=0}": 1, "orders{worker=0}": 2}


def test_what_is_no_such_text_is_refused_by_name() -> None:
    good = monitoring.exposition(of_every_kind())
    for bad in ("{", 'a{b="c} 1', "a one", "<html>"):
        with pytest.raises(ValueError, match="worker 'bad'"):
            monitoring.merge({"0": good, "bad": bad})


@given(
    st.dictionaries(st.text(max_size=8), st.floats(allow_nan=False), max_size=4),
    st.text(max_size=8),
)
def test_any_label_survives_being_merged(values: dict[str, float], worker: str) -> None:
    registry = CollectorRegistry()
    gauge = Gauge("depth", "Depth.", ["what"], registry=registry)
    for label, value in values.items():
        gauge.labels(label).set(value)
    merged = monitoring.merge({worker: monitoring.exposition(registry)})
    [family] = text_string_to_metric_families(merged)
    found = {s.labels["what"]: s.value for s in family.samples}
    assert found == values
    assert all(s.labels["worker"] == worker for s in family.samples)
