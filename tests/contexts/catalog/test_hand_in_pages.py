"""What the pages have the catalog write: in process or over HTTP, and a visitor can't tell which"""

from decimal import Decimal

import pytest

from monolith import counter
from monolith.catalog.models import Product, Review
from strangler.chassis.http_client import NoAnswer
from tests.contexts.factories import a_product, a_seller, a_user, an_order, stock_of
from tests.waiting import Clock


@pytest.fixture(
    params=["in process", pytest.param("over HTTP", marks=pytest.mark.django_db(transaction=True))]
)
def clerk(request):
    """Either adapter."""
    if request.param == "in process":
        request.getfixturevalue("db")
        return counter.InProcess()
    return counter.OverHttp(request.getfixturevalue("address"))


@pytest.fixture
def staff(clerk):
    staff = a_user("staff", "seller_staff")
    a_seller(staff=(staff,))
    return staff


def test_a_product_is_changed_as_the_user_who_sits_there(clerk, staff):
    rug = a_product()
    clerk.change_product(staff, rug.pk, price=Decimal("9.90"), status="retired")
    rug.refresh_from_db()
    assert (str(rug.price), rug.status) == ("9.90", "retired")


def test_what_the_catalog_refuses_is_refused_and_changes_nothing(clerk, staff):
    rug, theirs = a_product(), a_product("THEIRS", seller=a_seller("Rivals"))
    with pytest.raises(counter.CounterRefuses, match="Only the seller's staff, support and admins"):
        clerk.change_product(staff, theirs.pk, price=Decimal("0.01"), status="active")
    with pytest.raises(counter.CounterRefuses, match="Only somebody who has bought the product reviews it"):
        clerk.write_review(staff, rug.pk, rating=1, text="Cheap.")
    with pytest.raises(counter.CounterRefuses):
        clerk.watch_product(staff, 4711)
    assert str(Product.objects.get(pk=theirs.pk).price) == "12.50"
    assert not Review.objects.exists()


def test_a_review_carries_the_name_of_whoever_bought(clerk, ask):
    rug, ada = a_product(), a_user("ada", first_name="Ada", last_name="Abel")
    stock_of(rug, 3)
    buyer = ask("anonymous")
    buyer.force_login(ada)
    an_order(buyer, rug)
    clerk.write_review(ada, rug.pk, rating=5, text="Soft.")
    review = rug.reviews.get()
    assert (review.author_name, review.rating, review.text) == ("Ada Abel", 5, "Soft.")


def test_a_wish_is_made_and_taken_back(clerk):
    rug, ada = a_product(), a_user()
    clerk.watch_product(ada, rug.pk)
    assert rug.watches.get().user == ada
    clerk.unwatch_product(ada, rug.pk)
    assert not rug.watches.exists()


def test_a_page_waits_for_the_rows_that_it_shows_next(db, monkeypatch):
    """The owner has written, and the rows come here a moment later."""
    rug, ada = a_product(), a_user()
    clock = Clock(meanwhile=lambda: rug.watches.create(user=ada))
    monkeypatch.setattr(counter, "send_json", lambda *_, **__: None)
    monkeypatch.setattr(counter, "time", clock)
    counter.OverHttp("http://owner").watch_product(ada, rug.pk)
    assert clock.slept == counter.LOOK_AGAIN


def test_a_page_waits_only_for_a_moment(db, monkeypatch):
    clock = Clock()
    monkeypatch.setattr(counter, "send_json", lambda *_, **__: None)
    monkeypatch.setattr(counter, "time", clock)
    counter.OverHttp("http://owner").watch_product(a_user(), a_product().pk)
    assert clock.slept == pytest.approx(counter.FOLLOWED_WITHIN, abs=counter.LOOK_AGAIN)


@pytest.mark.parametrize("page", ["desk", "watch", "review"])
def test_a_catalog_that_gives_no_answer_is_said_so_on_the_page(visit, ask, monkeypatch, settings, page):
    rug = a_product()
    stock_of(rug, 3)
    an_order(ask("buyer"), rug)
    addresses = {
        "desk": (f"/account/desk/{rug.pk}/", {f"p{rug.pk}-price": "9.9", f"p{rug.pk}-status": "active"}),
        "watch": (f"/shop/products/{rug.pk}/watch/", {"watch": "on"}),
        "review": (f"/shop/products/{rug.pk}/review/", {"rating": "5"}),
    }

    def nobody(*_, **__):
        raise NoAnswer("nobody is there")

    monkeypatch.setattr(counter, "send_json", nobody)
    settings.CATALOG_URL = "http://owner"
    address, sent = addresses[page]
    if page == "desk":
        sent |= {f"p{rug.pk}-stock_{rug.stock.get().pk}": "2"}
    answer = visit("staff" if page == "desk" else "buyer").post(address, sent)
    assert answer.status_code == 503
    assert "Look whether your change is there, or try again." in answer.text
    assert rug.stock.get().quantity == 3
