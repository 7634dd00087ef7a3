"""What the cart and the checkout take from people."""

from __future__ import annotations

from django import forms

COUNTRIES = {
    "AT": "Austria",
    "BE": "Belgium",
    "CH": "Switzerland",
    "CZ": "Czechia",
    "DE": "Germany",
    "DK": "Denmark",
    "ES": "Spain",
    "FR": "France",
    "GB": "United Kingdom",
    "IT": "Italy",
    "NL": "Netherlands",
    "PL": "Poland",
    "SE": "Sweden",
}


class AddForm(forms.Form):
    """How many pieces to put into the cart."""

    quantity = forms.IntegerField(min_value=1, max_value=999, initial=1)


class QuantityForm(forms.Form):
    """How many pieces to have in the cart; none takes the product out of it."""

    quantity = forms.IntegerField(min_value=0, max_value=999)


def _text(label: str, max_length: int, autocomplete: str) -> forms.CharField:
    return forms.CharField(
        label=label, max_length=max_length, widget=forms.TextInput({"autocomplete": autocomplete})
    )


class AddressForm(forms.Form):
    """Where an order goes."""

    name = _text("Full name", 120, "name")
    street = _text("Street and number", 120, "street-address")
    postcode = _text("Postcode", 12, "postal-code")
    city = _text("City", 80, "address-level2")
    country = forms.ChoiceField(
        label="Country", choices=COUNTRIES, initial="DE", widget=forms.Select({"autocomplete": "country"})
    )


class CheckoutForm(AddressForm):
    """Where an order goes, and the voucher that makes it cheaper."""

    voucher = forms.CharField(
        label="Voucher", max_length=24, required=False, widget=forms.TextInput({"autocomplete": "off"})
    )
