"""Who people are, what role they have, and which sellers they work for."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import AbstractUser, UserManager
from django.db import models


class Role(models.TextChoices):
    BUYER = "buyer"
    SELLER_STAFF = "seller_staff"
    SUPPORT = "support"
    ADMIN = "admin"


class Accounts(UserManager["User"]):
    """Django's user manager; a superuser has the role that belongs to it."""

    use_in_migrations = False

    def create_superuser(
        self, username: str, email: str | None = None, password: str | None = None, **fields: Any
    ) -> User:
        return super().create_superuser(username, email, password, **{"role": Role.ADMIN} | fields)


class User(AbstractUser):
    """Everybody who can sign in. The role decides what the API shows; `is_staff` opens the admin alone."""

    role = models.CharField(max_length=16, choices=Role.choices, default=Role.BUYER)

    objects = Accounts()

    @property
    def display_name(self) -> str:
        return self.get_full_name() or self.username


class SellerStaff(models.Model):
    """A person works for a seller, and sees that seller's drafts and stock."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="employments")
    seller = models.ForeignKey("catalog.Seller", on_delete=models.CASCADE, related_name="staff")

    class Meta:
        verbose_name_plural = "seller staff"
        constraints = [
            models.UniqueConstraint(fields=["user", "seller"], name="identity_sellerstaff_user_seller")
        ]
