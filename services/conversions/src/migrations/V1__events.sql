-- One row per accepted event: the ledger that repeats are found in, and the outbox while state < 2.
-- States: 0 pending, 1 sending, 2 delivered, 3 dead.
CREATE TABLE events (
    tenant_id         text        NOT NULL,
    dataset_id        bigint      NOT NULL,
    event_name        text        NOT NULL,
    event_id          text        NOT NULL,
    state             smallint    NOT NULL DEFAULT 0 CHECK (state BETWEEN 0 AND 3),
    event_time        timestamptz NOT NULL,
    receive_time      timestamptz NOT NULL,
    -- Meta takes the event no more after this moment.
    deadline_time     timestamptz NOT NULL,
    -- While sending: the end of the lease. Whoever finds it passed may send again.
    next_attempt_time timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- The claim that holds the row while it is sent. An answer under an older fence changes nothing.
    fence             bigint      NOT NULL DEFAULT 0,
    attempts          integer     NOT NULL DEFAULT 0,
    send_time         timestamptz,
    -- The first try whose answer was lost.
    unknown_time      timestamptz,
    acknowledge_time  timestamptz,
    deduplicated      bigint      NOT NULL DEFAULT 0,
    request_id        uuid,
    -- Who was authorised when the event was accepted.
    subject           text        NOT NULL,
    test_event_code   text,
    -- Meta's JSON with people's identifiers hashed; gone once delivered.
    payload           text,
    -- An encoded adplane.common.v1.RowError.
    error             bytea,
    fbtrace_id        text,
    PRIMARY KEY (tenant_id, dataset_id, event_id, event_name)
);

CREATE INDEX events_outbox ON events (tenant_id, dataset_id, next_attempt_time) WHERE state < 2;
CREATE INDEX events_dead ON events (tenant_id, dataset_id, receive_time, event_name, event_id) WHERE state = 3;
CREATE INDEX events_swept ON events (receive_time);

-- One row per dataset that ever got an event: whose turn it is, and until when it rests. Ingest only ever adds a row
-- here, so that concurrent callers of one dataset do not wait for each other.
CREATE TABLE lanes (
    tenant_id    text        NOT NULL,
    dataset_id   bigint      NOT NULL,
    paused_until timestamptz NOT NULL DEFAULT '-infinity',
    served_time  timestamptz NOT NULL DEFAULT '-infinity',
    PRIMARY KEY (tenant_id, dataset_id)
);

CREATE SEQUENCE fences;
