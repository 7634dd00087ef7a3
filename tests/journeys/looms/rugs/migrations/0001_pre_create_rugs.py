import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True
    dependencies = []
    operations = [
        migrations.CreateModel(
            name="Rug",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("number", models.BigIntegerField(unique=True)),
                ("price", models.DecimalField(decimal_places=2, default=1, max_digits=10)),
                ("note", models.TextField(default="")),
            ],
        ),
        migrations.CreateModel(
            name="Knot",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("rug", models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to="rugs.rug")),
            ],
        ),
    ]
