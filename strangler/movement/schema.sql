-- What following has to remember, kept in the follower's database so that it commits together with the rows.

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

-- Tables that follow their owner.
CREATE TABLE IF NOT EXISTS strangler_movement.followed (
    table_name   text PRIMARY KEY,
    capture      uuid NOT NULL,                    -- the owner's; another one means that changes were missed
    shape        text NOT NULL,                    -- fingerprint; another one means a migration, which no
                                                   -- trigger sees write
    state        text NOT NULL CHECK (state IN ('filling', 'levelling', 'following')),
    since        timestamptz NOT NULL DEFAULT now()  -- in this state
);

-- Up to which of the owner's snapshots everything above is applied; one row.
CREATE TABLE IF NOT EXISTS strangler_movement.watermark (
    one          boolean PRIMARY KEY DEFAULT true CHECK (one),
    follower     uuid NOT NULL DEFAULT gen_random_uuid(),   -- what the owner knows this follower by
    snapshot     pg_snapshot,                               -- NULL before the first window
    windows      bigint NOT NULL DEFAULT 0,
    moved_at     timestamptz NOT NULL DEFAULT now()
);

-- Capabilities whose tables are to follow: the order that the follower obeys, from the move to shadow until it
-- is cancelled.
CREATE TABLE IF NOT EXISTS strangler_movement.ordered (
    capability   text PRIMARY KEY,
    owner        text NOT NULL,                    -- the home that is followed
    tables       text[] NOT NULL,
    by           text NOT NULL,
    since        timestamptz NOT NULL DEFAULT now()
);

-- The follower's word: one row, written anew all the time while its process lives.
CREATE TABLE IF NOT EXISTS strangler_movement.word (
    one          boolean PRIMARY KEY DEFAULT true CHECK (one),
    said_at      timestamptz NOT NULL,
    held         text,                             -- why nothing is applied; NULL: nothing holds it
    copying      json NOT NULL                     -- by table: rows that are here, and rows in all
);

-- Verifications that ran to their end, or were stopped by a `problem`; the latest are kept.
CREATE TABLE IF NOT EXISTS strangler_movement.round (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    capability   text NOT NULL,
    began_at     timestamptz NOT NULL,
    ended_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    tables       text[] NOT NULL,
    rows         bigint NOT NULL,
    suspects     bigint NOT NULL,
    differing    bigint NOT NULL,
    unsettled    bigint NOT NULL,
    named        text[] NOT NULL,                  -- the first of those that differ or never settled
    problem      text
);
