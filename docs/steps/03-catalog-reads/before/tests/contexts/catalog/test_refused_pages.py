"""What a browser is shown when there is nothing to show"""

from monolith import shared


def test_an_address_that_is_none_has_a_page_of_its_own(visit):
    page = visit("anonymous").get("/nowhere/")
    assert page.status_code == 404
    assert "There is no such page" in page.text


def test_a_failure_has_a_page_that_needs_neither_request_nor_database(visit, monkeypatch, caplog):
    def fail(user):
        raise RuntimeError("the rug is gone")

    monkeypatch.setattr(shared, "visible_products", fail)
    browser = visit("buyer")
    browser.raise_request_exception = False
    page = browser.get("/shop/")
    assert page.status_code == 500
    assert "Something broke on our side" in page.text
    assert "the rug is gone" not in page.text
    assert "the rug is gone" in caplog.text
