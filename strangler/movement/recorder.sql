-- Statements on rows that are to move, of anybody but the context that owns them, with their call sites.

CREATE SCHEMA IF NOT EXISTS strangler_recorder;
COMMENT ON SCHEMA strangler_recorder IS 'strangler: who else writes rows that are to move';

-- Recorded tables, and whose they are; `since` is when the recording began.
CREATE TABLE IF NOT EXISTS strangler_recorder.recorded (
    table_name text        PRIMARY KEY,
    context    text        NOT NULL,
    since      timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE TABLE IF NOT EXISTS strangler_recorder.statement (
    table_name text        NOT NULL,
    operation  text        NOT NULL,      -- INSERT, UPDATE, DELETE, TRUNCATE, LOCK
    context    text        NOT NULL,      -- '' where the statement doesn't name one: psql, cron, a migration
    site       text        NOT NULL,      -- file and line; for an unnamed one how it begins
    program    text        NOT NULL,
    at         timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- The first context of a comment that isn't the owner: who asked for this, and where. '@' without a comment,
-- NULL where the owner is all alone.
CREATE OR REPLACE FUNCTION strangler_recorder.foreign_site(statement text, owner text) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE
        WHEN marked IS NULL THEN '@'
        ELSE (SELECT one FROM regexp_split_to_table(marked, ' ') WITH ORDINALITY AS s(one, n)
              WHERE split_part(one, '@', 1) <> owner ORDER BY n LIMIT 1)
    END
    FROM substring(statement FROM '/\* strangler: ([^*]+) \*/') AS marked
$$;

CREATE OR REPLACE FUNCTION strangler_recorder.note() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    found text := strangler_recorder.foreign_site(current_query(), TG_ARGV[1]);
BEGIN
    IF found IS NOT NULL THEN
        INSERT INTO strangler_recorder.statement (table_name, operation, context, site, program)
        VALUES (TG_ARGV[0], TG_OP, split_part(found, '@', 1),
                CASE found WHEN '@' THEN left(regexp_replace(current_query(), '\s+', ' ', 'g'), 120)
                           ELSE split_part(found, '@', 2) END,
                current_setting('application_name'));
    END IF;
    RETURN NULL;
END
$$;

CREATE OR REPLACE FUNCTION strangler_recorder.note_lock(tables text[], comment text) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    INSERT INTO strangler_recorder.statement (table_name, operation, context, site, program)
    SELECT table_name, 'LOCK', split_part(found, '@', 1), split_part(found, '@', 2),
           current_setting('application_name')
    FROM strangler_recorder.recorded, strangler_recorder.foreign_site(comment, context) AS found
    WHERE table_name = ANY(tables) AND found IS NOT NULL
$$;
