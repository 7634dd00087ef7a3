"""What the shop announces."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True)
class RugPriceChanged:
    """The n-th price of a rug. `mood` is "poison" for one that the handler can't bear."""

    type: ClassVar[str] = "rugs.price_changed.v2"
    rug: str
    n: int
    currency: str = "EUR"
    mood: str = ""

    @property
    def key(self) -> str:
        return self.rug


@dataclass(frozen=True)
class RugPriceChangedV1:
    """The same before there were currencies."""

    type: ClassVar[str] = "rugs.price_changed.v1"
    rug: str
    n: int

    @property
    def key(self) -> str:
        return self.rug


@dataclass(frozen=True)
class RugPriceChangedV3(RugPriceChanged):
    """The same from a publisher that is ahead of its subscriber."""

    type: ClassVar[str] = "rugs.price_changed.v3"


@dataclass(frozen=True)
class RugBurnt:
    """Nobody listens to this one."""

    type: ClassVar[str] = "rugs.burnt.v1"
    rug: str

    @property
    def key(self) -> str:
        return self.rug


CLASSES = {"v1": RugPriceChangedV1, "v2": RugPriceChanged, "v3": RugPriceChangedV3, "burnt": RugBurnt}
