"""The public keys that a service checks tokens with: asked for late, kept long."""

import json

import pytest
from joserfc.jwk import ECKey, KeySet

from strangler.chassis import identity
from strangler.chassis.identity import KeysUnavailable, PublicKeys


@pytest.fixture
def clock(monkeypatch):
    class Clock:
        now = 1000.0

        def monotonic(self):
            return self.now

        def time(self):
            return self.now

    clock = Clock()
    monkeypatch.setattr(identity, "time", clock)
    return clock


@pytest.fixture
def published(tmp_path):
    """A file of public keys, as the issuer would answer."""

    class Published:
        path = tmp_path / "jwks.json"
        url = path.as_uri()

        def put(self, *keys):
            self.path.write_text(json.dumps(KeySet(list(keys)).as_dict(private=False)))

    return Published()


def a_key():
    return ECKey.generate_key("P-256", auto_kid=True)


def test_nothing_is_asked_before_a_token_comes(published, clock):
    PublicKeys(published.url)  # nothing is there, and nothing fails


def test_without_keys_nobody_can_say_and_the_next_token_asks_again(published, clock):
    keys = PublicKeys(published.url)
    with pytest.raises(KeysUnavailable):
        keys.current("k1")
    key = a_key()
    published.put(key)
    assert [one.kid for one in keys.current(key.kid)] == [key.kid]


def test_keys_stay_good_while_the_issuer_is_away(published, clock):
    key = a_key()
    published.put(key)
    keys = PublicKeys(published.url)
    keys.current(key.kid)
    published.path.unlink()
    clock.now += 100_000
    assert [one.kid for one in keys.current(key.kid)] == [key.kid]


def test_a_key_that_nobody_knows_is_asked_for_at_most_every_five_seconds(published, clock):
    first, second = a_key(), a_key()
    published.put(first)
    keys = PublicKeys(published.url)
    keys.current(first.kid)
    published.put(first, second)
    clock.now += 1
    assert len(list(keys.current(second.kid))) == 1
    clock.now += 5
    assert len(list(keys.current(second.kid))) == 2


def test_a_key_that_was_withdrawn_is_gone_after_five_minutes(published, clock):
    first, second = a_key(), a_key()
    published.put(first)
    keys = PublicKeys(published.url)
    keys.current(first.kid)
    published.put(second)
    clock.now += 301
    assert [one.kid for one in keys.current(first.kid)] == [second.kid]


def test_an_address_that_refuses_is_no_key(clock):
    with pytest.raises(KeysUnavailable):
        PublicKeys("http://127.0.0.1:9/jwks.json").current("k1")
