"""Colours, thresholds and words of values: the same for the same meaning on every dashboard."""

from collections.abc import Mapping
from types import MappingProxyType

from grafana_foundation_sdk.builders.dashboard import ThresholdsConfig
from grafana_foundation_sdk.models.dashboard import (
    DashboardRangeMapOptions,
    RangeMap,
    Threshold,
    ThresholdsMode,
    ValueMap,
    ValueMapping,
    ValueMappingResult,
)

from dashboards.model.panel import Scale
from dashboards.model.texts import Texts
from metering.series import IntervalQuality

#: Colour per value where a value has a word.
STATE_COLOURS: Mapping[Scale, Mapping[str, str]] = MappingProxyType(
    {
        Scale.QUALITY: {
            str(IntervalQuality.MEASURED.value): "green",
            str(IntervalQuality.MANUAL.value): "blue",
            str(IntervalQuality.INTERPOLATED.value): "yellow",
            str(IntervalQuality.ESTIMATED.value): "orange",
            str(IntervalQuality.SUSPECT.value): "purple",
            str(IntervalQuality.MISSING.value): "red",
        },
        Scale.ONLINE: {"0": "red", "1": "green"},
        # Share of a group's meters that are fresh.
        Scale.LIVE: {"0": "red", "1": "green"},
    }
)

#: Key of the word, and colour, of all values between 0 and 1 where a scale has words for both.
BETWEEN: Mapping[Scale, tuple[str, str]] = MappingProxyType({Scale.LIVE: ("partial", "yellow")})
_NEXT_TO_0, _NEXT_TO_1 = 0.000001, 0.999999

#: Colour from a value upwards; the first also holds below.
STEPS: Mapping[Scale, tuple[tuple[float, str], ...]] = MappingProxyType(
    {
        Scale.PLAIN: ((0, "blue"),),
        # Reports on interval data commonly hide figures below 80 % and mark those below 95 % as doubtful.
        Scale.COVERAGE: ((0, "red"), (0.8, "yellow"), (0.95, "green")),
        Scale.FAULTS: ((0, "green"), (1, "red")),
    }
)


def mappings(scale: Scale, texts: Texts) -> list[ValueMapping]:
    """Return the words for values, none where the number itself is shown."""
    colours = STATE_COLOURS.get(scale)
    if colours is None:
        return []
    words = texts.states[scale]
    results = {
        value: ValueMappingResult(text=words[value], color=colour, index=i)
        for i, (value, colour) in enumerate(colours.items())
    }
    return [ValueMap(options=results), *_between(scale, words, index=len(results))]


def _between(scale: Scale, words: Mapping[str, str], *, index: int) -> list[ValueMapping]:
    if scale not in BETWEEN:
        return []
    key, colour = BETWEEN[scale]
    word = ValueMappingResult(text=words[key], color=colour, index=index)
    return [RangeMap(options=DashboardRangeMapOptions(from_val=_NEXT_TO_0, to=_NEXT_TO_1, result=word))]


def names(by_id: Mapping[str, str]) -> list[ValueMapping]:
    """Return the display names of ids."""
    results = {one: ValueMappingResult(text=name, index=i) for i, (one, name) in enumerate(by_id.items())}
    return [ValueMap(options=results)] if results else []


def thresholds(scale: Scale) -> ThresholdsConfig:
    """Return the colours of a scale."""
    steps = STEPS.get(scale, STEPS[Scale.PLAIN])
    return (
        ThresholdsConfig()
        .mode(ThresholdsMode.ABSOLUTE)
        .steps([Threshold(value=None if i == 0 else value, color=c) for i, (value, c) in enumerate(steps)])
    )
