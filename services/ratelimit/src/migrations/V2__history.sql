-- What calls took and what became of them, summed up by the minute, so that anybody can ask later who spent a quota.
-- Written every two seconds by every replica: a replica that is killed takes those two seconds of statistics with it, and
-- a write whose answer is lost may count twice. No charge depends on it.
CREATE TABLE usage_minutes (
    tenant_id  text        NOT NULL,
    minute     timestamptz NOT NULL,
    -- Digits of the Meta app.
    app        bigint      NOT NULL,
    -- What the call was about, such as adAccounts/act_1; empty where it was about nothing that Meta counts for itself.
    subject    text        NOT NULL,
    -- Meta's word.
    use_case   text        NOT NULL,
    caller     text        NOT NULL,
    purpose    text        NOT NULL,
    call       text        NOT NULL,
    priority   smallint    NOT NULL,
    -- Meta's error code; 0 for what is counted before there is an answer.
    code       bigint      NOT NULL,
    calls      bigint      NOT NULL,
    points     bigint      NOT NULL,
    refused    bigint      NOT NULL,
    answers    bigint      NOT NULL,
    waited_ms  bigint      NOT NULL,
    longest_ms bigint      NOT NULL,
    PRIMARY KEY (tenant_id, minute, app, subject, use_case, caller, purpose, call, priority, code)
);

CREATE INDEX usage_minutes_subject ON usage_minutes (subject, minute);
CREATE INDEX usage_minutes_over ON usage_minutes (minute);

-- Calls that were told to wait: for which bucket, and why.
CREATE TABLE refused_minutes (
    tenant_id text        NOT NULL,
    minute    timestamptz NOT NULL,
    app       bigint      NOT NULL,
    subject   text        NOT NULL,
    -- The key in Redis.
    bucket    text        NOT NULL,
    -- As the scripts number them.
    reason    smallint    NOT NULL,
    priority  smallint    NOT NULL,
    caller    text        NOT NULL,
    call      text        NOT NULL,
    refused   bigint      NOT NULL,
    last      timestamptz NOT NULL,
    -- What the last one was told to wait.
    delay_ms  bigint      NOT NULL,
    PRIMARY KEY (tenant_id, minute, app, subject, bucket, reason, priority, caller, call)
);

CREATE INDEX refused_minutes_over ON refused_minutes (minute);

-- The order of what happened to buckets: its one row is locked until the commit, so that events become visible in their
-- order.
CREATE TABLE quota_event_clock (
    one      boolean PRIMARY KEY DEFAULT true CHECK (one),
    sequence bigint  NOT NULL,
    -- The first event that is kept.
    oldest   bigint  NOT NULL
);
INSERT INTO quota_event_clock (sequence, oldest) VALUES (0, 1);

-- What happened to buckets. A bucket is Meta's and may be shared; `tenant_id` is whose call told of it, empty for nobody's.
CREATE TABLE quota_events (
    tenant_id   text        NOT NULL,
    sequence    bigint      NOT NULL,
    happened_at timestamptz NOT NULL,
    app         bigint      NOT NULL,
    bucket      text        NOT NULL,
    kind        smallint    NOT NULL,
    code        bigint      NOT NULL DEFAULT 0,
    subcode     bigint      NOT NULL DEFAULT 0,
    trace_id    text        NOT NULL DEFAULT '',
    -- In ms since 1970; 0 where there is no end.
    until_ms    bigint      NOT NULL DEFAULT 0,
    others      bigint      NOT NULL DEFAULT 0,
    percent     bigint      NOT NULL DEFAULT 0,
    -- What a person gave as reason.
    words       text        NOT NULL DEFAULT '',
    PRIMARY KEY (tenant_id, sequence)
);

CREATE INDEX quota_events_bucket ON quota_events (bucket, happened_at);
CREATE INDEX quota_events_order ON quota_events (sequence);
CREATE INDEX quota_events_over ON quota_events (happened_at);
-- Every replica notices a closing; it happened once.
CREATE UNIQUE INDEX quota_events_closed ON quota_events (bucket, until_ms) WHERE kind = 1;
