"""Pages of the admin, sent as a browser sends them: everything as it stands, but for what was typed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def send(client: Any, address: str, **typed: Any) -> Any:
    """Fill in the page at an address and send it; names are those of the inputs."""
    sent = dict(_inputs(client.get(address).context)) | typed
    answer = client.post(address, sent)
    errors = answer.context and answer.context.get("errors")
    assert answer.status_code == 302, errors
    return answer


def press(client: Any, address: str, **chosen: Any) -> Any:
    """Press the button of a page that asks whether one is sure; what it does leads to another page."""
    answer = client.post(address, {"post": "yes"} | chosen)
    assert answer.status_code == 302, answer
    return answer


def _inputs(context: Any) -> Iterator[tuple[str, Any]]:
    yield from _of_form(context["adminform"].form)
    for inline in context["inline_admin_formsets"]:
        yield from _of_form(inline.formset.management_form)
        for form in inline.formset.forms:
            yield from _of_form(form)


def _of_form(form: Any) -> Iterator[tuple[str, Any]]:
    for bound in form:
        value = bound.value()
        if hasattr(bound.field.widget, "decompress"):
            parts = bound.field.widget.decompress(value)
            yield from ((f"{bound.html_name}_{n}", part or "") for n, part in enumerate(parts))
        elif value is not False and value is not None:
            yield bound.html_name, value
