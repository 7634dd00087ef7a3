"""What a fair has heard of rugs; its rows stay where they are when the rugs move."""

from django.db import models


class Sighting(models.Model):
    number = models.BigIntegerField(unique=True)
    times = models.IntegerField(default=0)
