-- What capture keeps in the owner's database: every change of the tables that are followed, until it is read.

CREATE SCHEMA IF NOT EXISTS strangler_capture;
COMMENT ON SCHEMA strangler_capture IS 'strangler: changes of followed tables';

CREATE TABLE IF NOT EXISTS strangler_capture.change (
    id           bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,  -- given under the row's lock: its order
    tx           xid8        NOT NULL DEFAULT pg_current_xact_id(),     -- which snapshots see it
    table_name   text        NOT NULL,
    operation    "char"      NOT NULL,  -- Insert, Update, Delete, Truncate, Read again, Mark
    shape        bigint,                -- of the table when `content` was written; NULL in T and M
    content      text,                  -- the row as its own type writes it: lossless, unlike any JSON
    captured_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX IF NOT EXISTS change_tx ON strangler_capture.change (tx);

-- Captured tables. `capture` is new whenever changes may have been missed before: then every row is compared.
CREATE TABLE IF NOT EXISTS strangler_capture.captured (
    table_name   text        PRIMARY KEY,
    capture      uuid        NOT NULL DEFAULT gen_random_uuid(),
    installed_at timestamptz NOT NULL DEFAULT now()
);

-- Followers, and what each has applied: what all of them have may be forgotten.
CREATE TABLE IF NOT EXISTS strangler_capture.follower (
    name         text        PRIMARY KEY,
    applied      pg_snapshot NOT NULL,
    windows      bigint      NOT NULL DEFAULT 0,
    moved_at     timestamptz NOT NULL DEFAULT now()
);

-- Rows that a verification sent once more.
CREATE TABLE IF NOT EXISTS strangler_capture.repair (
    id           bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    table_name   text        NOT NULL,
    key          text[]      NOT NULL,
    difference   text        NOT NULL,
    by           text        NOT NULL DEFAULT session_user,
    at           timestamptz NOT NULL DEFAULT now()
);

-- Names, types and order of a table's columns, in a number. Every change carries it, so that a row which was
-- written before a migration is never read as one that was written after it. (plpgsql keeps the plan, and a
-- SET would cost as much again: this runs for every row that is written.)
CREATE OR REPLACE FUNCTION strangler_capture.shape(relation oid) RETURNS bigint
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (SELECT pg_catalog.hashtextextended(pg_catalog.string_agg(
                pg_catalog.concat_ws(' ', attname, atttypid, atttypmod), ',' ORDER BY attnum), 0)
            FROM pg_catalog.pg_attribute WHERE attrelid = relation AND attnum > 0 AND NOT attisdropped);
END
$$;

-- With the rights of the owner, since whoever writes rows need not be allowed to write here; and with the
-- settings that readers have, since a writer's own would show in dates, floats and money.
-- Arguments: the table's name; and 'again' where a row left its key: whether another row of the same
-- statement took that key is seen only by reading it again.
CREATE OR REPLACE FUNCTION strangler_capture.take() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET "TimeZone" = 'UTC' SET "DateStyle" = 'ISO, MDY' SET "IntervalStyle" = 'postgres'
SET extra_float_digits = 3 SET bytea_output = 'hex' SET lc_monetary = 'C'
AS $$
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        INSERT INTO strangler_capture.change (table_name, operation) VALUES (TG_ARGV[0], 'T');
    ELSIF TG_NARGS > 1 THEN
        INSERT INTO strangler_capture.change (table_name, operation, shape, content)
        VALUES (TG_ARGV[0], 'R', strangler_capture.shape(TG_RELID), OLD::text);
    ELSIF TG_OP = 'DELETE' THEN
        INSERT INTO strangler_capture.change (table_name, operation, shape, content)
        VALUES (TG_ARGV[0], 'D', strangler_capture.shape(TG_RELID), OLD::text);
    ELSE
        INSERT INTO strangler_capture.change (table_name, operation, shape, content)
        VALUES (TG_ARGV[0], left(TG_OP, 1)::"char", strangler_capture.shape(TG_RELID), NEW::text);
    END IF;
    RETURN NULL;
END
$$;
