-- What was decided and what came of it. Applied on every connect, so every statement may run again.

CREATE SCHEMA IF NOT EXISTS strangler_control;

-- Where a capability stands. A capability that has never moved has no row: it is at monolith, revision 0.
CREATE TABLE IF NOT EXISTS strangler_control.capability (
    name      text PRIMARY KEY,
    phase     text NOT NULL CHECK (phase IN ('monolith', 'replicate', 'shadow', 'canary', 'switched', 'complete')),
    percent   smallint NOT NULL DEFAULT 0,
    revision  bigint NOT NULL CHECK (revision > 0),
    since     timestamptz NOT NULL,
    by        text NOT NULL,
    CHECK (CASE WHEN phase = 'canary' THEN percent BETWEEN 1 AND 99 ELSE percent = 0 END)
);

-- Made when there were only reads, the table knows fewer phases.
DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_constraint WHERE conrelid = 'strangler_control.capability'::regclass
                   AND pg_get_constraintdef(oid) LIKE '%replicate%') THEN
        ALTER TABLE strangler_control.capability DROP CONSTRAINT capability_phase_check;
        ALTER TABLE strangler_control.capability ADD CONSTRAINT capability_phase_check CHECK (
            phase IN ('monolith', 'replicate', 'shadow', 'canary', 'switched', 'complete'));
    END IF;
END $$;

-- Every transition that was begun, forward or back. Its row is written before its first effect.
CREATE TABLE IF NOT EXISTS strangler_control.transition (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    capability  text NOT NULL,
    origin      text NOT NULL,
    target      text NOT NULL,
    revision    bigint NOT NULL,  -- the one that the capability has once this is done
    by          text NOT NULL,
    state       text NOT NULL DEFAULT 'running' CHECK (state IN ('running', 'done', 'failed', 'undone')),
    started     timestamptz NOT NULL DEFAULT clock_timestamp(),
    finished    timestamptz,
    detail      text NOT NULL DEFAULT '',
    CHECK ((state = 'running') = (finished IS NULL))
);

-- The evidence on which the guard began it; empty where a person did.
ALTER TABLE strangler_control.transition ADD COLUMN IF NOT EXISTS because text NOT NULL DEFAULT '';

CREATE UNIQUE INDEX IF NOT EXISTS one_running_transition
    ON strangler_control.transition (capability) WHERE state = 'running';

CREATE TABLE IF NOT EXISTS strangler_control.effect (
    transition  bigint NOT NULL REFERENCES strangler_control.transition ON DELETE CASCADE,
    position    smallint NOT NULL,
    kind        text NOT NULL,
    arguments   json NOT NULL,
    state       text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'running', 'done', 'failed')),
    started     timestamptz,
    finished    timestamptz,
    detail      text NOT NULL DEFAULT '',
    PRIMARY KEY (transition, position)
);

-- Who holds the lock of a capability. The lock itself is an advisory lock of that session, so a killed
-- operator leaves none behind; a row counts only while the session `pid` holds the lock.
CREATE TABLE IF NOT EXISTS strangler_control.operator (
    capability  text PRIMARY KEY,
    name        text NOT NULL,
    since       timestamptz NOT NULL,
    pid         integer NOT NULL
);

-- When the guard last looked at a capability, at which of its revisions, and what it came to.
CREATE TABLE IF NOT EXISTS strangler_control.guard (
    capability  text PRIMARY KEY,
    looked      timestamptz NOT NULL,
    revision    bigint NOT NULL,
    sentence    text NOT NULL
);
