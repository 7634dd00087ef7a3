"""Rugs with knots, and values that a careless way from one database to the other would change."""

from django.db import models


class Rug(models.Model):
    number = models.BigIntegerField(unique=True)  # the client's own: each write is found again by it
    price = models.DecimalField(max_digits=10, decimal_places=2, default=1)
    note = models.TextField(default="")


class Knot(models.Model):
    rug = models.ForeignKey(Rug, on_delete=models.CASCADE)
