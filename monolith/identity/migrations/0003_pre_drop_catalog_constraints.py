import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    """The rows stay, and so do their columns: a seller that goes is told of by an event from now on."""

    dependencies = [
        ("catalog", "0001_pre_create_catalog"),
        ("identity", "0002_pre_create_seller_staff"),
    ]

    operations = [
        migrations.AlterField(
            model_name="sellerstaff",
            name="seller",
            field=models.ForeignKey(
                db_constraint=False,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="staff",
                to="catalog.seller",
            ),
        ),
    ]
