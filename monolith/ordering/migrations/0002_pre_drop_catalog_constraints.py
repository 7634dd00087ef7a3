import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    """The rows stay, and so do their columns: a product that goes is told of by an event from now on."""

    dependencies = [
        ("catalog", "0001_pre_create_catalog"),
        ("ordering", "0001_pre_create_orders"),
    ]

    operations = [
        migrations.AlterField(
            model_name="orderline",
            name="product",
            field=models.ForeignKey(
                db_constraint=False,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="order_lines",
                to="catalog.product",
            ),
        ),
    ]
