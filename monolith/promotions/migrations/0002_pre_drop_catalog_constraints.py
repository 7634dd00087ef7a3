import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    """The rows stay, and so do their columns: a product that goes is told of by an event from now on."""

    dependencies = [
        ("catalog", "0001_pre_create_catalog"),
        ("promotions", "0001_pre_create_vouchers_and_offers"),
    ]

    operations = [
        migrations.AlterField(
            model_name="offer",
            name="product",
            field=models.ForeignKey(
                db_constraint=False,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="offers",
                to="catalog.product",
            ),
        ),
    ]
