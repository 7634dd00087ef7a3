-- What the live comparator has seen, summed up per second, so that evidence can be asked for since any moment.
-- Applied whenever somebody connects: every statement must be harmless when it comes again.
create schema if not exists strangler_compare;

-- What the gateway captured, and what was thrown away unread.
create table if not exists strangler_compare.intake (
    capability text        not null,
    second     timestamptz not null,
    captured   bigint      not null,
    dropped    bigint      not null,
    primary key (capability, second)
);

-- What clients got from the service itself, among what was captured: answers, and those with a 5xx.
alter table strangler_compare.intake add column if not exists answered bigint not null default 0;
alter table strangler_compare.intake add column if not exists failed bigint not null default 0;

-- What evidence rests on, each time that it changed: versions by home, fingerprints of the rules.
create table if not exists strangler_compare.footing (
    capability text        not null,
    since      timestamptz not null default clock_timestamp(),
    versions   json        not null,
    rules      json        not null,
    reason     text        not null,
    primary key (capability, since)
);

-- Requests by outcome: same, different, excused, ignored, not comparable (then with a reason).
create table if not exists strangler_compare.outcome (
    capability text        not null,
    second     timestamptz not null,
    route      text        not null,
    caller     text        not null,
    status     integer     not null,
    outcome    text        not null,
    reason     text        not null,
    requests   bigint      not null,
    primary key (capability, second, route, caller, status, outcome, reason)
);

-- Fields that differed, and in how many requests.
create table if not exists strangler_compare.field (
    capability text        not null,
    second     timestamptz not null,
    route      text        not null,
    path       text        not null,
    kind       text        not null,
    verdict    text        not null,
    critical   boolean     not null,
    reason     text        not null,
    requests   bigint      not null,
    primary key (capability, second, route, path, kind, verdict, critical, reason)
);

-- The latest few samples of each difference, redacted; `number` goes round.
create table if not exists strangler_compare.sample (
    capability text        not null,
    route      text        not null,
    path       text        not null,
    kind       text        not null,
    number     smallint    not null,
    at         timestamptz not null,
    request    text        not null,
    caller     text        not null,
    control    text,
    candidate  text,
    primary key (capability, route, path, kind, number)
);

-- Distinct questions that were compared.
create table if not exists strangler_compare.shape (
    capability  text        not null,
    fingerprint text        not null,
    seen        timestamptz not null,
    differed    timestamptz,
    primary key (capability, fingerprint)
);

-- Both homes' times for one request, asked one right after the other.
create table if not exists strangler_compare.pair (
    capability text             not null,
    route      text             not null,
    at         timestamptz      not null,
    control    double precision not null,
    candidate  double precision not null
);
create index if not exists pair_by_time on strangler_compare.pair (capability, at);
