-- What a copy has to remember, kept in the follower's database so that it commits together with the rows.

CREATE SCHEMA IF NOT EXISTS strangler_movement;

CREATE TABLE IF NOT EXISTS strangler_movement.backfill_progress (
    table_name   text        PRIMARY KEY,
    shape        text        NOT NULL,             -- fingerprint that both sides had when the fill began
    after_key    text[],                           -- the last key that was copied; NULL before the first chunk
    rows         bigint      NOT NULL DEFAULT 0,   -- rows in the follower's table as this copy left it
    started_at   timestamptz NOT NULL DEFAULT now(),
    moved_at     timestamptz NOT NULL DEFAULT now(),
    finished_at  timestamptz                       -- set only when every table of the run was done
);

-- Foreign keys that a copy dropped and still owes: rows come in key order, which isn't parents first.
CREATE TABLE IF NOT EXISTS strangler_movement.foreign_key_set_aside (
    table_name   text NOT NULL,
    name         text NOT NULL,
    definition   text NOT NULL,
    touches      text[] NOT NULL,                  -- the tables at its two ends
    PRIMARY KEY (table_name, name)
);
