"""The inbox's tables, read and written in SQL alone, by homes and by the kit; there are no models."""

from django.db import migrations

CREATE = """
CREATE TABLE strangler_inbox_received (
    subscription text        NOT NULL,
    event_id     text        NOT NULL,
    key          text        NOT NULL,
    type         text        NOT NULL,                        -- without the version
    outcome      text        NOT NULL DEFAULT 'handled',      -- handled, or skipped by an operator
    note         text        NOT NULL DEFAULT '',             -- what was wrong with its envelope
    announced_at timestamptz,                                 -- the event's own time
    handled_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (subscription, event_id)
);
CREATE INDEX strangler_inbox_received_at ON strangler_inbox_received (subscription, handled_at);

-- What couldn't be handled, and what has to wait behind it: of each key in the order of `position`.
CREATE TABLE strangler_inbox_parked (
    subscription text        NOT NULL,
    event_id     text        NOT NULL,
    position     bigint      NOT NULL UNIQUE GENERATED ALWAYS AS IDENTITY,
    key          text        NOT NULL,
    type         text        NOT NULL,
    state        text        NOT NULL CHECK (state IN ('poison', 'behind', 'retry', 'skip')),
    reason       text        NOT NULL,
    attempts     integer     NOT NULL DEFAULT 1,
    headers      jsonb       NOT NULL,                        -- the message as it arrived
    content_type text,
    body         bytea       NOT NULL,
    parked_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (subscription, event_id)
);
CREATE INDEX strangler_inbox_parked_key ON strangler_inbox_parked (subscription, key, position);

-- How far a subscription has read a publisher's outbox that it polls: everything that `low` sees, and of what
-- `high` sees besides, everything up to `reached`.
CREATE TABLE strangler_inbox_position (
    subscription text        NOT NULL,
    publisher    text        NOT NULL,
    types        text[]      NOT NULL,
    low          pg_snapshot NOT NULL DEFAULT '1:1:',
    high         pg_snapshot,
    reached      bigint      NOT NULL DEFAULT 0,
    PRIMARY KEY (subscription, publisher)
);
"""
TABLES = ("strangler_inbox_received", "strangler_inbox_parked", "strangler_inbox_position")


class Migration(migrations.Migration):
    initial = True
    dependencies = []
    operations = [migrations.RunSQL(CREATE, f"DROP TABLE {', '.join(TABLES)}")]
