-- Reports: what was asked, how Meta is asked for it slice by slice, and the rows that came.
CREATE TABLE reports (
    tenant_id             text        NOT NULL,
    id                    uuid        NOT NULL,
    account_id            bigint      NOT NULL,
    -- Who asked: the work is done by the service's identity for the tenant that was authorised then.
    subject               text        NOT NULL,
    -- The encoded adplane.insights.v1.Query.
    query                 bytea       NOT NULL,
    -- running, succeeded, failed, cancelled.
    state                 text        NOT NULL DEFAULT 'running',
    -- Known once the account was read: what its numbers are counted in, and so which days are meant.
    currency              text,
    time_zone             text,
    since                 date,
    until                 date,
    mode                  text,
    mode_reason           text        NOT NULL DEFAULT '',
    -- open, matched, differed, not_comparable.
    reconciliation        text        NOT NULL DEFAULT 'open',
    reconciliation_reason text        NOT NULL DEFAULT '',
    control_impressions   bigint,
    control_clicks        bigint,
    control_spend_minor   bigint,
    -- How often days were read again because their sums differed.
    rereads               integer     NOT NULL DEFAULT 0,
    -- When the last row was read.
    data_at               timestamptz,
    -- The encoded adplane.common.v1.RowError.
    error                 bytea,
    created_at            timestamptz NOT NULL DEFAULT clock_timestamp(),
    ended_at              timestamptz,
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT reports_end CHECK ((state = 'running') = (ended_at IS NULL))
);

CREATE INDEX reports_of_account ON reports (tenant_id, account_id, id DESC);

CREATE TABLE report_parts (
    tenant_id     text        NOT NULL,
    report_id     uuid        NOT NULL,
    since         date        NOT NULL,
    until         date        NOT NULL,
    -- pending, polling, reading, done, failed.
    run           text        NOT NULL DEFAULT 'pending',
    -- Meta's id of the run, kept before the first poll, so that whoever goes on asks for the same run.
    report_run_id bigint,
    begun_at      timestamptz,
    percent       integer     NOT NULL DEFAULT 0,
    -- After the last page that was kept.
    cursor        text,
    tries         integer     NOT NULL DEFAULT 0,
    row_count     bigint      NOT NULL DEFAULT 0,
    impressions   bigint      NOT NULL DEFAULT 0,
    clicks        bigint      NOT NULL DEFAULT 0,
    spend_minor   bigint      NOT NULL DEFAULT 0,
    -- The encoded adplane.common.v1.RowError.
    error         bytea,
    PRIMARY KEY (tenant_id, report_id, since),
    FOREIGN KEY (tenant_id, report_id) REFERENCES reports (tenant_id, id) ON DELETE CASCADE
);

CREATE TABLE facts (
    tenant_id   text   NOT NULL,
    report_id   uuid   NOT NULL,
    -- The first day of the slice since 1970, times 2^32, plus the row's place in the slice: by day, without gaps to fill.
    ordinal     bigint NOT NULL,
    date_start  date   NOT NULL,
    impressions bigint NOT NULL,
    clicks      bigint NOT NULL,
    spend_minor bigint NOT NULL,
    -- The encoded adplane.insights.v1.Row.
    body        bytea  NOT NULL,
    PRIMARY KEY (tenant_id, report_id, ordinal),
    FOREIGN KEY (tenant_id, report_id) REFERENCES reports (tenant_id, id) ON DELETE CASCADE
);
