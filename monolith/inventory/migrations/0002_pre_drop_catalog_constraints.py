import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    """The rows stay, and so do their columns: a product that goes is told of by an event from now on."""

    dependencies = [
        ("catalog", "0001_pre_create_catalog"),
        ("inventory", "0001_pre_create_stock"),
    ]

    operations = [
        migrations.AlterField(
            model_name="reservation",
            name="product",
            field=models.ForeignKey(
                db_constraint=False,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="reservations",
                to="catalog.product",
            ),
        ),
        migrations.AlterField(
            model_name="stockitem",
            name="product",
            field=models.ForeignKey(
                db_constraint=False,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="stock",
                to="catalog.product",
            ),
        ),
    ]
