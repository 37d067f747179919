"""Plain numbers -> prometheus-client's families of metrics."""

from collections.abc import Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from app.telemetry.tally import Tally


def gauge(name: str, meaning: str, value: float) -> Metric:
    """One figure that goes up and down."""
    return GaugeMetricFamily(name, meaning, value=float(value))


def counter(name: str, meaning: str, labels: tuple[str, ...], counts: Mapping[tuple[str, ...], int]) -> Metric:
    """Counts by the values of their ``labels``."""
    family = CounterMetricFamily(name, meaning, labels=labels)
    for values, count in counts.items():
        family.add_metric(values, count)
    return family


def histogram(name: str, meaning: str, label: str, tallies: Mapping[str, Tally]) -> Metric:
    """Tallies by the value of their ``label``."""
    family = HistogramMetricFamily(name, meaning, labels=(label,))
    for value, tally in tallies.items():
        family.add_metric((value,), *tally.buckets())
    return family
