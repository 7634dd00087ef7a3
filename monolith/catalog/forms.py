"""What the shop's pages take from people: a search, a review, and a product's row on the seller's desk."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from django import forms

from ..inventory.models import StockItem
from .models import Product, Review

ORDERINGS = {
    "": "As listed",
    "price": "Price, low to high",
    "-price": "Price, high to low",
    "name": "Name",
}


class ShopForm(forms.Form):
    """What somebody is looking for."""

    q = forms.CharField(
        label="Search", required=False, max_length=80, widget=forms.TextInput({"type": "search"})
    )
    category = forms.SlugField(required=False)
    seller = forms.SlugField(required=False)
    ordering = forms.ChoiceField(label="Sort by", required=False, choices=list(ORDERINGS.items()))
    page = forms.IntegerField(required=False, min_value=1, max_value=1_000_000)


class ReviewForm(forms.ModelForm):
    rating = forms.TypedChoiceField(
        label="Stars", coerce=int, choices=[(stars, "★" * stars) for stars in range(5, 0, -1)]
    )

    class Meta:
        model = Review
        fields = ["rating", "text"]
        widgets = {"text": forms.Textarea({"rows": 4})}


class DeskForm(forms.ModelForm):
    """A product's price and status, and how many pieces of it lie in each warehouse.

    entangled: a form of the catalog that writes the inventory's rows.
    """

    price = forms.DecimalField(min_value=Decimal("0.01"), max_digits=10, decimal_places=2)

    class Meta:
        model = Product
        fields = ["price", "status"]

    def __init__(self, *args: Any, stock: Iterable[StockItem], **kwargs: Any) -> None:
        """`stock` are the product's items with their warehouses; locked, if the form is to be saved."""
        super().__init__(*args, **kwargs)
        self.stock = {f"stock_{item.pk}": item for item in stock}
        for name, item in self.stock.items():
            self.fields[name] = forms.IntegerField(
                label=item.warehouse.name,
                initial=item.quantity,
                min_value=item.reserved,
                max_value=99_999,
                help_text=f"{item.reserved} promised" if item.reserved else "",
                error_messages={"min_value": "%(limit_value)s pieces are promised to orders already."},
            )

    @property
    def changes(self) -> dict[str, Any]:
        """What is the catalog's of what was sent."""
        return {name: self.cleaned_data[name] for name in self.Meta.fields}

    def save_stock(self) -> None:
        """Write the inventory's part; the other is the catalog's to write."""
        for name, item in self.stock.items():
            if item.quantity != self.cleaned_data[name]:
                item.quantity = self.cleaned_data[name]
                item.save()
