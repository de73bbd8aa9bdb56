"""Figures: medians of measured values, with their spread over the rounds."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from statistics import median
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tests.bench.load import Sample


@dataclass(frozen=True)
class Spread:
    """The median, the least and the greatest value of all rounds."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread:
        """The spread of at least one value."""
        every = list(values)
        return cls(median(every), min(every), max(every))


@dataclass(frozen=True)
class Figure:
    """The values of one operation on one system."""

    #: Section of the report.
    section: str
    work: str
    system: str
    in_flight: int = 0
    #: By name; a value that is not a ratio has its unit in the name.
    values: dict[str, Spread] = field(default_factory=dict)
    failures: dict[str, int] = field(default_factory=dict)

    def without_cpu(self) -> Figure:
        """The figure without processor time per call, for measurements in which other calls share it."""
        kept = {name: value for name, value in self.values.items() if not name.startswith("cpu ")}
        return replace(self, values=kept)

    def as_json(self) -> dict[str, Any]:
        """The figure as JSON-compatible values."""
        return asdict(self)


def of_samples(samples: Sequence[Sample], references: Sequence[Sample]) -> dict[str, Spread]:
    """The values of samples, alone and relative to the reference's sample of the same round."""
    pairs = list(zip(samples, references, strict=True))
    return {
        "rate": Spread.of(sample.rate for sample in samples),
        "share": Spread.of(_ratio(mine.rate, other.rate) for mine, other in pairs),
        "p50 ms": Spread.of(1e3 * sample.percentile(0.5) for sample in samples),
        "p90 ms": Spread.of(1e3 * sample.percentile(0.9) for sample in samples),
        "p99 ms": Spread.of(1e3 * sample.percentile(0.99) for sample in samples),
        "p50 ratio": _percentiles(pairs, 0.5),
        "p99 ratio": _percentiles(pairs, 0.99),
        "cpu us": Spread.of(1e6 * sample.cpu_per_call for sample in samples),
        "cpu ratio": Spread.of(
            _ratio(mine.cpu_per_call, other.cpu_per_call) for mine, other in pairs
        ),
        "load share": Spread.of(sample.load_share for sample in samples),
    }


def _percentiles(pairs: list[tuple[Sample, Sample]], share: float) -> Spread:
    return Spread.of(
        _ratio(mine.percentile(share), other.percentile(share)) for mine, other in pairs
    )


def _ratio(value: float, reference: float) -> float:
    return value / reference if reference else 0.0
