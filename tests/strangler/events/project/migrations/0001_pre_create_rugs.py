"""What the publisher changed, what the subscriber has seen, and whether its handler has been repaired."""

from django.db import migrations

CREATE = """
CREATE TABLE rugs_change (
    position bigint GENERATED ALWAYS AS IDENTITY, event_id text NOT NULL, rug text NOT NULL, n integer NOT NULL
);
CREATE TABLE rugs_seen (
    position bigint GENERATED ALWAYS AS IDENTITY, event_id text NOT NULL, rug text NOT NULL, n integer NOT NULL,
    currency text NOT NULL, sequence integer, traceparent text, seen_at timestamptz DEFAULT clock_timestamp()
);
CREATE TABLE rugs_repaired (position bigint GENERATED ALWAYS AS IDENTITY);
"""


class Migration(migrations.Migration):
    initial = True
    dependencies = []
    operations = [migrations.RunSQL(CREATE, migrations.RunSQL.noop)]
