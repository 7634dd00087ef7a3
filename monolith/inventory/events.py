"""What the inventory announces, in the transaction of the change."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True)
class StockChanged:
    """Pieces came, went, were promised or let go; `available` of the product can be ordered now."""

    product: int
    available: int
    type: ClassVar[str] = "inventory.stock_changed.v1"

    @property
    def key(self) -> str:
        return f"stock-{self.product}"
