"""Signed tokens as strangers send them: the header is looked at before anything trusts its shape."""

from __future__ import annotations

from typing import Any

from joserfc import jwt
from joserfc.jwk import KeyFlexible
from joserfc.jws import extract_compact


def header_of(token: str) -> dict[str, Any]:
    """The header that a token says it has, signed or not. Raises JoseError, or ValueError for an odd one.

    No token of ours demands an extension by `crit`.
    """
    header = extract_compact(token.encode()).protected
    if not isinstance(header, dict) or "crit" in header:
        raise ValueError("The token's header has a shape that nobody knows.")
    return header


def claims_of(token: str, keys: KeyFlexible, algorithm: str) -> dict[str, Any]:
    """What a token says that one of the keys has signed. Raises JoseError, or ValueError."""
    header_of(token)
    return jwt.decode(token, keys, algorithms=[algorithm]).claims
