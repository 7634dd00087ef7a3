"""The outbox's tables. They are written and read in SQL alone, by homes and by the kit, so there are no models.

`published_at` is set once the broker has confirmed the event. `xid` is the recording transaction's: those who
poll the outbox read it in snapshot windows, since a lower seq can be committed later.
"""

from django.db import migrations

CREATE = """
CREATE TABLE strangler_outbox_event (
    seq          bigint      PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    id           uuid        NOT NULL UNIQUE,
    partition    smallint    NOT NULL,                  -- hash(key) % 16: what a relay leases
    key          text        NOT NULL,
    key_seq      bigint      NOT NULL,                  -- counts the events of a key, across homes
    type         text        NOT NULL,                  -- without the version
    version      integer     NOT NULL,
    data         jsonb       NOT NULL,
    headers      jsonb       NOT NULL,                  -- as they go on the wire, but for ce-sequence
    xid          xid8        NOT NULL DEFAULT pg_current_xact_id(),
    created      timestamptz NOT NULL DEFAULT clock_timestamp(),
    available_at timestamptz NOT NULL DEFAULT '-infinity',  -- held back until then, and its key with it
    attempts     integer     NOT NULL DEFAULT 0,
    last_error   text        NOT NULL DEFAULT '',
    published_at timestamptz,
    UNIQUE (key, key_seq)
);
CREATE INDEX strangler_outbox_waiting ON strangler_outbox_event (seq) WHERE published_at IS NULL;
CREATE INDEX strangler_outbox_held ON strangler_outbox_event (key) WHERE published_at IS NULL AND attempts > 0;
CREATE INDEX strangler_outbox_xid ON strangler_outbox_event (xid);
CREATE TABLE strangler_outbox_key (key text PRIMARY KEY, last bigint NOT NULL) WITH (fillfactor = 70);
"""


class Migration(migrations.Migration):
    initial = True
    dependencies = []
    operations = [
        migrations.RunSQL(CREATE, "DROP TABLE strangler_outbox_event; DROP TABLE strangler_outbox_key"),
    ]
