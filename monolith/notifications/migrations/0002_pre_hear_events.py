"""A mail keeps the order's number itself, what it was queued for, and when it was tried.

`order` becomes a plain id: the constraint goes, the column and its index stay.
"""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

NUMBERS = """
UPDATE notifications_mail AS mail SET order_number = orders.number, tried_at = mail.sent_at
FROM ordering_order AS orders WHERE orders.id = mail.order_id
"""


class Migration(migrations.Migration):
    dependencies = [
        ("notifications", "0001_pre_create_mails"),
        ("ordering", "0001_pre_create_orders"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddField("mail", "order_number", models.CharField(db_default="", max_length=20)),
        migrations.AddField(
            "mail",
            "event",
            models.UUIDField(editable=False, help_text="What it was queued for.", null=True),
        ),
        migrations.AddField("mail", "tried_at", models.DateTimeField(blank=True, null=True)),
        migrations.RunSQL(NUMBERS, migrations.RunSQL.noop),
        migrations.AlterField(
            "mail",
            "order",
            models.ForeignKey(
                db_constraint=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="mails",
                to="ordering.order",
            ),
        ),
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.RemoveField("mail", "order"),
                migrations.AddField("mail", "order_id", models.BigIntegerField(db_index=True)),
            ],
        ),
        migrations.AddConstraint(
            "mail",
            models.UniqueConstraint(
                fields=["event", "recipient", "subject"], name="notifications_mail_once_for_an_event"
            ),
        ),
    ]
