-- What was meant to be made at Meta, written before it was sent.
CREATE TABLE intents (
    tenant_id    text        NOT NULL,
    id           uuid        NOT NULL,
    account_id   bigint      NOT NULL,
    kind         text        NOT NULL,
    parent_id    bigint      NOT NULL,
    name         text        NOT NULL,
    -- SHA-256 of what is sent.
    fingerprint  bytea       NOT NULL,
    label_id     text,
    -- Who asked for it.
    actor        text        NOT NULL,
    request_id   uuid,
    plan_id      uuid,
    temporary_id text,
    -- prepared, sending, done, failed, unknown
    state        text        NOT NULL DEFAULT 'prepared',
    sent_at      timestamptz,
    -- Since when it is known that the answer was lost: from here it has to settle.
    lost_at      timestamptz,
    looks        integer     NOT NULL DEFAULT 0,
    -- What Meta gave.
    object_id    bigint,
    -- The encoded RowError.
    error        bytea,
    -- The operation that looks for it.
    operation_id uuid,
    -- Until when a late twin is looked for, and when next.
    sweep_until  timestamptz,
    sweep_at     timestamptz,
    created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT intents_state CHECK (state IN ('prepared', 'sending', 'done', 'failed', 'unknown')),
    CONSTRAINT intents_done CHECK ((state = 'done') = (object_id IS NOT NULL))
);

-- Two that could not be told apart at Meta are never on their way at once: the second waits.
CREATE UNIQUE INDEX intents_unresolved ON intents (tenant_id, account_id, kind, parent_id, name)
    WHERE state IN ('prepared', 'sending', 'unknown');
-- A node of a plan is made once.
CREATE UNIQUE INDEX intents_node ON intents (tenant_id, plan_id, temporary_id)
    WHERE plan_id IS NOT NULL AND state <> 'failed';
-- A request makes one thing.
CREATE UNIQUE INDEX intents_request ON intents (tenant_id, request_id)
    WHERE request_id IS NOT NULL AND state <> 'failed';
CREATE INDEX intents_object ON intents (tenant_id, account_id, kind, object_id) WHERE object_id IS NOT NULL;
CREATE INDEX intents_open ON intents (updated_at) WHERE state IN ('prepared', 'sending', 'unknown');
CREATE INDEX intents_sweep ON intents (sweep_at) WHERE sweep_at IS NOT NULL;
