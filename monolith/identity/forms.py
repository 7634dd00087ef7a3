"""What people tell about themselves."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.auth.forms import UserCreationForm

from .models import User


class RegisterForm(UserCreationForm):
    """A new buyer; nobody gives themselves another role."""

    email = forms.EmailField(label="E-mail address", widget=forms.EmailInput({"autocomplete": "email"}))

    class Meta:
        model = User
        fields = ["username", "email"]
        help_texts = {"username": ""}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Django's own text is a list of its validators, in HTML.
        self.fields["password1"].help_text = "At least eight characters, not all of them digits."


class ProfileForm(forms.ModelForm):
    class Meta:
        model = User
        fields = ["first_name", "last_name", "email"]
        labels = {"email": "E-mail address"}
        widgets = {
            "first_name": forms.TextInput({"autocomplete": "given-name"}),
            "last_name": forms.TextInput({"autocomplete": "family-name"}),
            "email": forms.EmailInput({"autocomplete": "email"}),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["email"].required = True  # orders are confirmed there
