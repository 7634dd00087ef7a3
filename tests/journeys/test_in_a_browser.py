"""A person at the gateway, while catalog reads are served by the service: nothing looks different to them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.journeys.browser import Page, binary, browser
from tests.journeys.project import Project

Visit = Callable[[Callable[[Page], Coroutine[Any, Any, None]]], None]


@pytest.fixture
def visit(tmp_path: Path) -> Visit:
    """Runs a visit in a browser with nothing in its memory."""
    path = binary()
    if path is None:
        if os.environ.get("CI"):
            pytest.fail("There is no Chromium here, and CI must not do without. Install Debian's chromium.")
        pytest.skip("There is no Chromium here. Debian's package is chromium.")

    @asynccontextmanager
    async def opened() -> AsyncIterator[Page]:
        async with browser(path, tmp_path) as page:
            yield page

    def run(steps: Callable[[Page], Coroutine[Any, Any, None]]) -> None:
        async def go() -> None:
            async with opened() as page:
                await steps(page)

        asyncio.run(go())

    return run


async def log_in(page: Page, gateway: str, user: str) -> None:
    await page.open(f"{gateway}/account/login/")
    await page.submit("form.panel", username=user, password="demo")
    assert "Sign out" in await page.text()


async def ask(page: Page, path: str) -> list[Any]:
    """Status, home and body of what a script in the page asks of the API."""
    script = f"""fetch({path!r}).then(async answer =>
        [answer.status, answer.headers.get("x-strangler-home"), await answer.json()])"""
    found: list[Any] = await page.evaluate(script)
    return found


def test_a_buyer_finds_a_part_orders_it_and_sees_the_order(switched: Project, visit: Visit) -> None:
    product, name = _product(switched, "status = 'active' AND in_stock")

    async def steps(page: Page) -> None:
        await page.open(f"{switched.gateway}/shop/products/{product}/")
        assert name in await page.text()
        await log_in(page, switched.gateway, "buyer1")
        status, home, told = await ask(page, f"/api/catalog/products/{product}/")
        assert (status, home, told["name"]) == (200, "catalog", name)

        await page.open(f"{switched.gateway}/shop/products/{product}/")
        await page.submit("form[action*=cart]", quantity="1")
        assert f"{name} is in your cart." in await page.text()
        await page.open(f"{switched.gateway}/checkout/")
        await page.submit(
            "form.panel",
            name="Anna Weaver",
            street="Loom Street 1",
            postcode="10115",
            city="Berlin",
            country="DE",
        )
        assert "Thank you! Your order is placed." in await page.text()
        number = (await page.address()).rstrip("/").rpartition("/")[2]

        await page.open(f"{switched.gateway}/account/")
        text = await page.text()
        assert number in text
        assert name in text

    visit(steps)


def test_staff_see_their_draft_from_the_service_and_a_buyer_does_not(switched: Project, visit: Visit) -> None:
    draft, name = _product(
        switched,
        "status = 'draft' AND seller_id IN (SELECT seller_id FROM identity_sellerstaff JOIN identity_user"
        " ON identity_user.id = user_id WHERE username = 'staff1')",
    )
    path = f"/api/catalog/products/{draft}/"

    async def as_staff(page: Page) -> None:
        await log_in(page, switched.gateway, "staff1")
        status, home, told = await ask(page, path)
        assert (status, home, told["name"], told["status"]) == (200, "catalog", name, "draft")

        await page.submit("form[action*=logout]")
        await log_in(page, switched.gateway, "buyer1")
        status, home, told = await ask(page, path)
        assert (status, home, told["code"]) == (404, "catalog", "not_found")

    visit(as_staff)


def _product(project: Project, condition: str) -> tuple[int, str]:
    """Number and name of a product, straight from the monolith's table."""
    with psycopg.connect(project.environment["DATABASE_URL"]) as connection:
        row = connection.execute(
            f"SELECT id, name FROM catalog_product WHERE {condition} ORDER BY id LIMIT 1"  # type: ignore[arg-type]
        ).fetchone()
    assert row, f"the seed holds no product with {condition}"
    return row[0], row[1]
