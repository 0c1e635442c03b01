-- Long work: a queue for workers and the answer of GetOperation at once.
CREATE TABLE operations (
    tenant_id        text        NOT NULL,
    id               uuid        NOT NULL,
    kind             text        NOT NULL,
    resource         text        NOT NULL,
    input            bytea       NOT NULL,
    body             bytea       NOT NULL,
    done             boolean     NOT NULL DEFAULT false,
    -- A worker has claimed it and has not put it back.
    running          boolean     NOT NULL DEFAULT false,
    cancel_requested boolean     NOT NULL DEFAULT false,
    -- When it may be claimed: while it waits the time to go on, while it runs the end of the lease.
    due_at           timestamptz NOT NULL DEFAULT clock_timestamp(),
    fence            bigint      NOT NULL DEFAULT 0,
    attempt          integer     NOT NULL DEFAULT 0,
    created_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    ended_at         timestamptz,
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT operations_end CHECK (done = (ended_at IS NOT NULL) AND NOT (done AND running))
);

CREATE INDEX operations_due ON operations (kind, due_at) WHERE NOT done;
CREATE INDEX operations_ended ON operations (ended_at) WHERE done;
