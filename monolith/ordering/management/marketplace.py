"""An invented marketplace, the same at every call: rows for `seed`, one generator for each table.

Keys are counted from 1 without gaps. Every table draws from a random source of its own, so that a change to
one leaves the others as they are. Moments are fixed too: the marketplace opened on the first of January 2024.
"""

from __future__ import annotations

import datetime
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

Row = tuple[Any, ...]

OPENED = datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC)
FAR = datetime.datetime(2099, 1, 1, tzinfo=datetime.UTC)

SHELVES = {
    "Brakes": ("Brake discs", "Brake pads", "Brake calipers", "Brake hoses"),
    "Engine": ("Pistons", "Camshafts", "Gaskets", "Oil filters"),
    "Suspension": ("Springs", "Shock absorbers", "Control arms", "Stabiliser links"),
    "Electrical": ("Alternators", "Starters", "Ignition coils", "Headlights"),
    "Transmission": ("Clutches", "Gearboxes", "Drive shafts", "Flywheels"),
    "Exhaust": ("Silencers", "Manifolds", "Catalysts", "Clamps"),
    "Interior": ("Seats", "Steering wheels", "Pedals", "Floor mats"),
    "Body": ("Bumpers", "Mirrors", "Wings", "Door handles"),
}
LEAVES = [(shelf, leaf) for shelf, leaves in SHELVES.items() for leaf in leaves]
ADJECTIVES = [
    "Garish",
    "Humble",
    "Sturdy",
    "Silent",
    "Vintage",
    "Sporty",
    "Feather",
    "Heavy",
    "Polished",
    "Rally",
    "Tiny",
    "Noble",
]
MATERIALS = ["steel", "aluminium", "carbon", "ceramic", "rubber", "brass"]
MODELS = ["Kestrel", "Marlin", "Otter", "Puffin", "Heron", "Badger", "Lynx", "Osprey", "Stoat", "Plover"]
TRADES = ["Parts", "Garage", "Motors", "Spares", "Works", "Depot", "Components", "Classics"]
PLACES = ["Hamburg", "Lyon", "Gdansk", "Porto", "Turin", "Ghent", "Malmo", "Brno", "Cork", "Linz"]
COUNTRIES = ["DE", "FR", "PL", "PT", "IT", "BE", "SE", "CZ", "IE", "AT"]
FIRST = [
    "Ada",
    "Bruno",
    "Chloe",
    "Dario",
    "Edda",
    "Farid",
    "Greta",
    "Hugo",
    "Ines",
    "Jonas",
    "Kira",
    "Leo",
    "Mina",
    "Nils",
    "Olga",
    "Piet",
]
LAST = [
    "Abel",
    "Brandt",
    "Costa",
    "Dubois",
    "Eriksen",
    "Fischer",
    "Gallo",
    "Hansen",
    "Ivanova",
    "Jansen",
    "Kowalski",
    "Lindt",
]
PRAISE = (
    "Sits badly, went back.",
    "Works, but the box was open.",
    "Does what it should.",
    "Good fit, quick delivery.",
    "Better than the original.",
)
CODES = ("WELCOME-10", "GARISH-20", "SPRING-5", "THANKS-15")
WAREHOUSES = ((1, "HAM", "Hamburg harbour"), (2, "LYO", "Lyon south"), (3, "GDN", "Gdansk east"))
SUPPORT = 5


@dataclass
class Marketplace:
    """`scale` 1 means 2,000 products, 1,000 users, 5,000 orders and 40 sellers.

    The generators feed each other (stock covers what orders have reserved, reviews follow deliveries):
    call them in the order of the methods.
    """

    scale: float
    password: str
    content_types: dict[str, int]
    prices: list[str] = field(default_factory=list)
    weights: list[int] = field(default_factory=list)  # in grams
    statuses: list[str] = field(default_factory=list)
    reserved: dict[int, int] = field(default_factory=dict)
    opinions: dict[tuple[int, int], int] = field(default_factory=dict)
    redeemed: dict[int, int] = field(default_factory=dict)
    parcels: int = 0

    def __post_init__(self) -> None:
        self.products = max(40, int(2_000 * self.scale))
        self.sellers = max(4, int(40 * self.scale))
        self.users = max(1 + SUPPORT + 2 * self.sellers + 10, int(1_000 * self.scale))
        self.orders = max(50, int(5_000 * self.scale))
        self.first_buyer = 1 + SUPPORT + 2 * self.sellers + 1

    def identity_user(self) -> Iterator[Row]:
        """id, username, first, last, email, password, role, is_superuser, is_staff, is_active, joined."""
        yield self._user(1, "admin", "admin")
        for number in range(1, SUPPORT + 1):
            yield self._user(1 + number, f"support{number}", "support")
        for number in range(1, 2 * self.sellers + 1):
            yield self._user(1 + SUPPORT + number, f"staff{number}", "seller_staff")
        for number in range(1, self.users - self.first_buyer + 2):
            yield self._user(self.first_buyer + number - 1, f"buyer{number}", "buyer")

    def _user(self, key: int, name: str, role: str) -> Row:
        first, last = _name_of(key).split()
        email = f"{name}@marketplace.example"
        admin, opens_admin = role == "admin", role in ("admin", "support")
        joined = OPENED + datetime.timedelta(minutes=key)
        return key, name, first, last, email, self.password, role, admin, opens_admin, True, joined

    def identity_sellerstaff(self) -> Iterator[Row]:
        """id, user_id, seller_id: staff1 works for seller 1, and so on, twice around."""
        for number in range(1, 2 * self.sellers + 1):
            yield number, 1 + SUPPORT + number, (number - 1) % self.sellers + 1

    def catalog_seller(self) -> Iterator[Row]:
        """id, name, slug, description, country, created_at."""
        for key in range(1, self.sellers + 1):
            place = key % len(PLACES)
            name = f"{LAST[key % len(LAST)]} {TRADES[key // 7 % len(TRADES)]} {PLACES[place]}"
            text = f"Parts from {PLACES[place]} since {1950 + key % 70}."
            yield key, name, f"{_slug(name)}-{key}", text, COUNTRIES[place], OPENED

    def catalog_category(self) -> Iterator[Row]:
        """id, name, slug, parent_id."""
        for key, shelf in enumerate(SHELVES, start=1):
            yield key, shelf, _slug(shelf), None
        for key, (shelf, leaf) in enumerate(LEAVES, start=len(SHELVES) + 1):
            yield key, leaf, _slug(leaf), list(SHELVES).index(shelf) + 1

    def catalog_product(self) -> Iterator[Row]:
        """id, sku, slug, name, description, seller_id, category_id, status, price, currency, weight,
        attributes, in_stock, units_sold, rating_average, rating_count, created_by_id, created_at,
        updated_at."""
        draw = random.Random(f"product {self.scale}")
        for key in range(1, self.products + 1):
            leaf = draw.randrange(len(LEAVES))
            noun = LEAVES[leaf][1].removesuffix("s").lower()
            adjective, material, model = draw.choice(ADJECTIVES), draw.choice(MATERIALS), draw.choice(MODELS)
            name = f"{adjective} {noun} for {model}"
            seller = (key - 1) % self.sellers + 1
            status = draw.choices(("active", "draft", "retired"), (90, 6, 4))[0]
            price = f"{draw.randrange(300, 90_000) / 100:.2f}"
            attributes = {"material": material, "fits": [f"{model} {draw.randrange(1960, 2024)}"]}
            weight = draw.randrange(50, 40_000)
            self.prices.append(price)
            self.weights.append(weight)
            self.statuses.append(status)
            created = OPENED + datetime.timedelta(minutes=key * 7)
            yield (
                key,
                f"{adjective.upper()}-{noun.upper().replace(' ', '-')}-{key}",
                _slug(name),
                name,
                f"A {adjective.lower()} {noun} of {material}. Fits every {model}.",
                seller,
                len(SHELVES) + 1 + leaf,
                status,
                price,
                "EUR",
                f"{weight / 1000:.3f}",
                json.dumps(attributes),
                False,
                0,
                None,
                0,
                1 + SUPPORT + seller,
                created,
                created,
            )

    def catalog_product_watchers(self) -> Iterator[Row]:
        """product_id, user_id: every third buyer watches a product or two."""
        for buyer in range(self.first_buyer, self.users + 1, 3):
            # In a large marketplace both may come to one product.
            for product in dict.fromkeys((buyer % self.products, buyer * 7 % self.products)):
                yield product + 1, buyer

    def ordering_order(self) -> Iterator[tuple[list[Row], ...]]:
        """An order with all that hangs on it: a list of rows for each of seed's ORDER_TABLES.

        id, number, buyer_id, status, total, currency, address, placed_at;
        id, order_id, product_id, quantity, unit_price;
        id, order_id, product_id, warehouse_id, quantity, expires_at;
        id, voucher_id, order_id, buyer_id, amount, redeemed_at;
        id, order_id, payer_id, amount, currency, state, created_at, changed_at;
        id, order_id, warehouse_id, state, address, created_at, sent_at;
        id, shipment_id, weight, label;
        parcel_id, orderline_id.
        """
        draw = random.Random(f"order {self.scale}")
        line_key, reservation_key = 0, self.orders
        for key in range(1, self.orders + 1):
            buyer = draw.randint(self.first_buyer, self.users)
            status = draw.choices(("delivered", "shipped", "placed", "cancelled"), (75, 15, 5, 5))[0]
            placed = OPENED + datetime.timedelta(minutes=key * 1_400_000 // self.orders)
            lines: list[Row] = []
            reservations: list[Row] = []
            cents = 0
            for product in sorted({self._bought(draw) for _ in range(draw.randint(1, 4))}):
                line_key += 1
                quantity, price = draw.choice((1, 1, 1, 2, 4)), self.prices[product - 1]
                cents += quantity * int(price.replace(".", ""))
                lines.append((line_key, key, product, quantity, price))
                if status == "delivered" and draw.random() < 0.35:
                    self.opinions.setdefault((product, buyer), key)
                if status == "placed":
                    # The first reservation has the order's own key: orders are numbered after it.
                    reservation_key += 1
                    own = reservation_key if reservations else key
                    self.reserved[product] = self.reserved.get(product, 0) + quantity
                    reservations.append((own, key, product, _home_of(product), quantity, FAR))
            address = {
                "name": _name_of(buyer),
                "street": f"Mill Lane {buyer % 90 + 1}",
                "postcode": f"{10_000 + buyer % 80_000}",
                "city": PLACES[buyer % len(PLACES)],
                "country": COUNTRIES[buyer % len(COUNTRIES)],
            }
            redemptions: list[Row] = []
            if key % 10 == 0 and status != "cancelled":
                voucher = key // 10 % len(CODES) + 1
                off = cents * _percent_of(voucher) // 100
                self.redeemed[voucher] = self.redeemed.get(voucher, 0) + 1
                redemptions.append((key // 10, voucher, key, buyer, _euros(off), placed))
                cents -= off
            where = json.dumps(address)
            order = (key, f"P-{key:08d}", buyer, status, _euros(cents), "EUR", where, placed)
            money = {"placed": "on_account", "cancelled": "refunded"}.get(status, "captured")
            payment = (key, key, buyer, _euros(cents), "EUR", money, placed, placed)
            shipped = self._shipped(key, status, lines, where, address["country"], placed)
            yield [order], lines, reservations, redemptions, [payment], *shipped

    def _shipped(
        self, order: int, status: str, lines: list[Row], where: str, country: str, placed: datetime.datetime
    ) -> tuple[list[Row], list[Row], list[Row]]:
        """Shipments, parcels and their lines: a parcel from each warehouse; nothing of a cancelled order."""
        if status == "cancelled":
            return [], [], []
        shipments, parcels, contents = [], [], []
        state = {"placed": "waiting", "shipped": "sent"}.get(status, status)
        sent = None if status == "placed" else placed + datetime.timedelta(days=2)
        for warehouse, _, _ in WAREHOUSES:
            inside = [line for line in lines if _home_of(line[2]) == warehouse]
            if inside:
                self.parcels += 1
                key, weight = self.parcels, sum(line[3] * self.weights[line[2] - 1] for line in inside)
                shipments.append((key, order, warehouse, state, where, placed, sent))
                parcels.append((key, key, f"{weight / 1000:.3f}", f"GP{key:09d}{country}"))
                contents += [(key, line[0]) for line in inside]
        return shipments, parcels, contents

    def _bought(self, draw: random.Random) -> int:
        """A product that isn't a draft; those in front sell best."""
        while True:
            product = int(self.products * draw.random() ** 2) + 1
            if self.statuses[product - 1] != "draft":
                return product

    def inventory_warehouse(self) -> Iterator[Row]:
        """id, code, name."""
        yield from WAREHOUSES

    def inventory_stockitem(self) -> Iterator[Row]:
        """id, product_id, warehouse_id, quantity, reserved."""
        draw = random.Random(f"stock {self.scale}")
        key = 0
        for product in range(1, self.products + 1):
            key += 1
            reserved = self.reserved.get(product, 0)
            quantity = reserved + (0 if draw.random() < 0.08 else draw.randint(1, 200))
            yield key, product, _home_of(product), quantity, reserved
            if product % 4 == 0 and quantity > reserved:
                key += 1
                yield key, product, _home_of(product + 1), draw.randint(0, 50), 0

    def catalog_review(self) -> Iterator[Row]:
        """id, product_id, author_id, author_name, rating, text, created_at."""
        draw = random.Random(f"review {self.scale}")
        for key, ((product, author), order) in enumerate(self.opinions.items(), start=1):
            rating = draw.choices((1, 2, 3, 4, 5), (5, 7, 18, 35, 35))[0]
            written = OPENED + datetime.timedelta(minutes=order * 1_400_000 // self.orders, days=9)
            yield key, product, author, _name_of(author), rating, PRAISE[rating - 1], written

    def promotions_voucher(self) -> Iterator[Row]:
        """id, code, percent, minimum, limit, limit_per_buyer, redeemed, valid_from, valid_until."""
        for key, code in enumerate(CODES, start=1):
            redeemed = self.redeemed.get(key, 0)
            yield key, code, _percent_of(key), "20.00", 2 * redeemed + 1_000, 1_000, redeemed, OPENED, FAR

    def promotions_offer(self) -> Iterator[Row]:
        """id, product_id, percent, limit, sold, starts_at, ends_at: on every 40th product; half are over."""
        over = OPENED + datetime.timedelta(days=30)
        for key, product in enumerate(range(17, self.products + 1, 40), start=1):
            yield key, product, (10, 15, 25)[key % 3], None, 0, OPENED, FAR if key % 2 else over

    def notifications_mail(self) -> Iterator[Row]:
        """id, recipient_id, order_id, subject, text, queued_at, sent_at: support's, of every 50th order."""
        for key in range(1, self.orders // 50 + 1):
            number = f"P-{key * 50:08d}"
            yield key, 2 + key % SUPPORT, key * 50, f"Order {number}", "Somebody asked.", OPENED, OPENED

    def ordering_note(self) -> Iterator[Row]:
        """id, content_type_id, object_id, author_id, text, created_at: on orders and on products."""
        for key in range(1, self.orders // 20 + 1):
            subject = ("order", key * 20) if key % 3 else ("product", key % self.products + 1)
            text = f"Asked about this {subject[0]} on the telephone."
            yield key, self.content_types[subject[0]], subject[1], 2 + key % SUPPORT, text, OPENED


def _name_of(user: int) -> str:
    return f"{FIRST[user % len(FIRST)]} {LAST[user // 3 % len(LAST)]}"


def _percent_of(voucher: int) -> int:
    return int(CODES[voucher - 1].rpartition("-")[2])


def _euros(cents: int) -> str:
    return f"{cents // 100}.{cents % 100:02d}"


def _home_of(product: int) -> int:
    """The warehouse in which a product lies first of all."""
    return product % len(WAREHOUSES) + 1


def _slug(name: str) -> str:
    return name.lower().replace(" ", "-")
