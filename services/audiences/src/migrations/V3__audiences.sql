-- What was last read of each audience: Meta's JSON, so that nothing of it is lost.
CREATE TABLE audiences (
    tenant_id   text        NOT NULL,
    account_id  bigint      NOT NULL,
    audience_id bigint      NOT NULL,
    graph       jsonb       NOT NULL,
    fetch_time  timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, account_id, audience_id)
);

-- Which ad accounts were read whole, and when.
CREATE TABLE listings (
    tenant_id  text        NOT NULL,
    account_id bigint      NOT NULL,
    fetch_time timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, account_id)
);

-- One row per CreateAudience. Meta knows no idempotency key, so the row is written before the call and says, after any
-- crash, whether something may have been made.
CREATE TABLE creations (
    tenant_id            text        NOT NULL,
    request_id           uuid        NOT NULL,
    fingerprint          bytea       NOT NULL,
    account_id           bigint      NOT NULL,
    name                 text        NOT NULL,
    description          text        NOT NULL,
    customer_file_source text        NOT NULL,
    -- Stands in the description at Meta; by it the audience is found when the answer was lost.
    marker               text        NOT NULL,
    subject              text        NOT NULL,
    state                text        NOT NULL DEFAULT 'prepared'
        CHECK (state IN ('prepared', 'sending', 'done', 'failed', 'unknown', 'lost')),
    begin_time           timestamptz NOT NULL DEFAULT clock_timestamp(),
    send_time            timestamptz,
    -- When it was known that its answer was lost: only from then on does its absence say something.
    lost_time            timestamptz,
    looks                integer     NOT NULL DEFAULT 0,
    audience_id          bigint,
    operation_id         uuid,
    PRIMARY KEY (tenant_id, request_id),
    CHECK ((state = 'done') = (audience_id IS NOT NULL))
);

-- Two unresolved creates of the same name could not be told apart.
CREATE UNIQUE INDEX creations_unresolved ON creations (tenant_id, account_id, name)
    WHERE state IN ('prepared', 'sending', 'unknown');
CREATE INDEX creations_begun ON creations (begin_time);
