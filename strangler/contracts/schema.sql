-- What is known of contracts. Rows are only ever added. Applied on every connect.

CREATE SCHEMA IF NOT EXISTS strangler_contracts;

-- Which pact a version of a consumer has with a provider. The latest row of the three counts.
CREATE TABLE IF NOT EXISTS strangler_contracts.pact (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    consumer  text NOT NULL,
    version   text NOT NULL CHECK (version <> ''),
    provider  text NOT NULL,
    hash      text NOT NULL,
    content   text NOT NULL,
    at        timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- What came of one pact at one version of one home. The latest row of these counts.
CREATE TABLE IF NOT EXISTS strangler_contracts.result (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    consumer      text NOT NULL,
    provider      text NOT NULL,
    hash          text NOT NULL,
    home          text NOT NULL,
    version       text NOT NULL CHECK (version <> ''),
    interactions  integer NOT NULL,  -- that ran
    failed        json NOT NULL,     -- description: what was wrong
    at            timestamptz NOT NULL DEFAULT clock_timestamp(),
    by            text NOT NULL
);
CREATE INDEX IF NOT EXISTS result_by_version ON strangler_contracts.result (home, version, hash);

-- Which version of a home was deployed, each time that it was another one. The latest row of a home counts.
CREATE TABLE IF NOT EXISTS strangler_contracts.deployment (
    id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    home     text NOT NULL,
    version  text NOT NULL CHECK (version <> ''),
    at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    by       text NOT NULL
);

CREATE OR REPLACE FUNCTION strangler_contracts.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'The ledger of contracts is only ever added to; nothing was changed.';
END
$$;
CREATE OR REPLACE TRIGGER only_added BEFORE UPDATE OR DELETE OR TRUNCATE ON strangler_contracts.pact
    FOR EACH STATEMENT EXECUTE FUNCTION strangler_contracts.refuse();
CREATE OR REPLACE TRIGGER only_added BEFORE UPDATE OR DELETE OR TRUNCATE ON strangler_contracts.result
    FOR EACH STATEMENT EXECUTE FUNCTION strangler_contracts.refuse();
CREATE OR REPLACE TRIGGER only_added BEFORE UPDATE OR DELETE OR TRUNCATE ON strangler_contracts.deployment
    FOR EACH STATEMENT EXECUTE FUNCTION strangler_contracts.refuse();
