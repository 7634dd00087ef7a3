from django.db import migrations, models

# Identity's table is read once more, so that it needn't be read again.
NAMES = """
UPDATE catalog_review SET author_name =
    coalesce(nullif(trim(person.first_name || ' ' || person.last_name), ''), person.username)
FROM identity_user AS person
WHERE person.id = catalog_review.author_id
"""


class Migration(migrations.Migration):
    dependencies = [
        ("identity", "0001_pre_create_users"),
        ("catalog", "0001_pre_create_catalog"),
    ]

    operations = [
        # A default in the database: code that doesn't know the column goes on writing reviews.
        migrations.AddField(
            model_name="review",
            name="author_name",
            field=models.CharField(blank=True, db_default="", editable=False, max_length=310),
        ),
        migrations.RunSQL(NAMES, migrations.RunSQL.noop, elidable=True),
    ]
