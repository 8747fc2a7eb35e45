"""Units of measure after a number. A unit is dropped where only one side names one; two known units are compared.

Known units are the everyday ones of word problems. Anything else behind a number (apples, dollars each) counts things,
and is dropped on either side: which words mean the same thing is not for a checker to guess.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import NamedTuple


class Unit(NamedTuple):
    """A known unit: the powers of its dimensions, sorted by name, and what one of it is in the base unit."""

    dimensions: tuple[tuple[str, int], ...]
    factor: Decimal


_NAMES: dict[str, tuple[str, str]] = {
    name: (dimension, factor)
    for names, dimension, factor in [
        ("mm millimeter millimetre", "length", "0.001"),
        ("cm centimeter centimetre", "length", "0.01"),
        ("m meter metre", "length", "1"),
        ("km kilometer kilometre", "length", "1000"),
        ("in inch inches", "length", "0.0254"),
        ("ft foot feet", "length", "0.3048"),
        ("yd yard", "length", "0.9144"),
        ("mi mile", "length", "1609.344"),
        ("mg milligram", "mass", "0.001"),
        ("g gm gram", "mass", "1"),
        ("kg kilogram", "mass", "1000"),
        ("oz ounce", "ounce", "1"),
        ("lb pound", "pound", "1"),
        ("s sec second", "time", "1"),
        ("min minute", "time", "60"),
        ("h hr hour", "time", "3600"),
        ("day", "time", "86400"),
        ("week", "time", "604800"),
        ("month", "month", "1"),
        ("yr year", "month", "12"),
        ("ml milliliter millilitre", "volume", "0.001"),
        ("l liter litre", "volume", "1"),
        ("gal gallon", "gallon", "1"),
        ("dollar", "money", "1"),
        ("cent", "money", "0.01"),
        ("deg degree", "degree", "1"),
        ("rad radian", "radian", "1"),
    ]
    for name in names.split()
}
_COMPOUND = {"mph": "mile/hour", "kph": "km/hour", "kmh": "km/hour", "kmph": "km/hour"}


def unit_of(words: str, power: int = 1) -> Unit | None:
    """The known unit that `words` name (`cm`, `square inches`, `miles per hour`, `m/s`), else None.

    `power` is an exponent written behind the words: `cm` with 2 is an area.
    """
    words = re.sub(r"\s+", " ", words.strip(" .").lower())
    words = _COMPOUND.get(words, words).replace(" per ", "/")
    parts = words.split("/")
    if len(parts) > 2:
        return None
    dimensions: dict[str, int] = {}
    factor = Decimal(1)
    for place, part in enumerate(parts):
        found = re.fullmatch(
            r"(square |sq\.? |cubic |cu\.? )?([a-z]+?)(\s?squared|\s?cubed|\s?\^?\{?[23]\}?)?", part.strip()
        )
        if found is None:
            return None
        before, name, behind = found.groups()
        known = _NAMES.get(name) or _NAMES.get(name.removesuffix("s")) or _NAMES.get(name.removesuffix("es"))
        if known is None:
            return None
        own = 2 if (before or "").startswith("sq") else 3 if before else 1
        if behind:
            own = 2 if "sq" in behind or "2" in behind else 3
        own *= power if place == len(parts) - 1 else 1
        own = own if place == 0 else -own
        dimensions[known[0]] = dimensions.get(known[0], 0) + own
        factor *= Decimal(known[1]) ** own
    return Unit(tuple(sorted(dimensions.items())), factor)


def same_quantity(left: Decimal, left_unit: Unit | None, right: Decimal, right_unit: Unit | None) -> bool:
    """Whether two measured values are the same: in the base unit where both units are known, else as bare numbers.

    `2 hours` is `120 minutes` and is not `2 minutes`; `10 cm` is not `10 cm^2`; `10 cm` is `10` and `10 boxes`.
    """
    if left_unit is None or right_unit is None or left_unit == right_unit:
        return left == right
    if left_unit.dimensions != right_unit.dimensions:
        return False
    return left * left_unit.factor == right * right_unit.factor
