-- Who owns the rows of a capability, as this database believes; and the fence that keeps everybody else out.

CREATE SCHEMA IF NOT EXISTS strangler_ownership;
COMMENT ON SCHEMA strangler_ownership IS 'strangler: who owns which rows';

-- One row for each capability that replicates, in the database of either home. At the home that takes over,
-- this row is the commit point: 'offered' becomes 'owner' (it has moved) or 'follower' (it never will, in this
-- epoch), by a compare-and-set that only one of the two can win.
CREATE TABLE IF NOT EXISTS strangler_ownership.unit (
    name       text        PRIMARY KEY,
    tables     text[]      NOT NULL,
    state      text        NOT NULL CHECK (state IN ('owner', 'fenced', 'offered', 'follower')),
    epoch      bigint      NOT NULL DEFAULT 0,  -- counts the switches that were begun
    deadline   timestamptz,                     -- from then on any home may undo a switch under way
    other      text        NOT NULL,            -- the name of the other home
    advice     text        NOT NULL,            -- what who is refused should do once the rows have moved
    changed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CHECK ((state = 'fenced') = (deadline IS NOT NULL))
);

-- Epochs of moves that were given up: they go on from here, or who slept with one in hand would find it valid.
CREATE TABLE IF NOT EXISTS strangler_ownership.given_up (
    name       text        PRIMARY KEY,
    epoch      bigint      NOT NULL
);

-- What a raised fence says. Programs know it by its SQLSTATE: STR01 while the rows move, STR02 once they have.
CREATE OR REPLACE FUNCTION strangler_ownership.refuse() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    unit strangler_ownership.unit;
BEGIN
    SELECT * INTO unit FROM strangler_ownership.unit WHERE name = TG_ARGV[0];
    RAISE EXCEPTION USING
        ERRCODE = CASE unit.state WHEN 'follower' THEN 'STR02' ELSE 'STR01' END,
        MESSAGE = CASE unit.state
            WHEN 'follower' THEN format('the rows of %s belong to %s, and are only followed here: %s was refused',
                                        unit.name, unit.other, TG_TABLE_NAME)
            ELSE format('the rows of %s are just moving between this home and %s: %s was refused',
                        TG_ARGV[0], unit.other, TG_TABLE_NAME)
        END,
        DETAIL = 'Nothing of this transaction was written.',
        HINT = CASE unit.state WHEN 'follower' THEN unit.advice ELSE 'Try again in a moment.' END;
END
$$;
