"""What a project is called is said in its settings, and never guessed."""

from __future__ import annotations

import pytest
from django.core.exceptions import ImproperlyConfigured
from joserfc.jwk import ECKey

from strangler.chassis.envelope import write
from strangler.chassis.identity import Caller, sign
from tests.strangler.events.project.events import RugBurnt


@pytest.mark.parametrize("name", ["IDENTITY_ISSUER", "IDENTITY_AUDIENCE"])
def test_no_token_is_signed_in_a_name_that_nobody_gave(settings, name):
    delattr(settings, name)
    with pytest.raises(ImproperlyConfigured, match=f"{name} isn't set"):
        sign(Caller("7"), ECKey.generate_key("P-256"), lifetime=60)


def test_no_event_is_announced_in_a_name_that_nobody_gave(settings):
    del settings.EVENTS_SOURCE
    with pytest.raises(ImproperlyConfigured, match="EVENTS_SOURCE isn't set"):
        write(RugBurnt("GARISH-RUG"))
