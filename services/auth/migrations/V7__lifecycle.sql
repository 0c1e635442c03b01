-- What happens to a connection between its consent and its end.

-- 'checkpoint': the owner must do something at Facebook first; the token works again then.
ALTER TABLE connections DROP CONSTRAINT connections_state_check;
ALTER TABLE connections
    ADD CONSTRAINT connections_state_check CHECK (state IN ('active', 'needs_consent', 'checkpoint', 'revoked'));

-- next_inspection_at NULL is due at once: the rows of before, and those of replicas of the version before, get their
-- plan by their first inspection. Whoever works on a row holds claim until claimed_until; an outcome is stored only by
-- the claim that is written there.
ALTER TABLE connections
    ADD COLUMN next_refresh_at    timestamptz,
    ADD COLUMN next_inspection_at timestamptz,
    ADD COLUMN next_notice_at     timestamptz,
    ADD COLUMN refreshed_at       timestamptz,
    ADD COLUMN refresh_failures   int    NOT NULL DEFAULT 0,
    ADD COLUMN refresh_problem    text   NOT NULL DEFAULT '',
    ADD COLUMN told_days          smallint,
    ADD COLUMN told_data_days     smallint,
    ADD COLUMN claim              bigint NOT NULL DEFAULT 0,
    ADD COLUMN claimed_until      timestamptz;

CREATE INDEX connections_to_refresh ON connections (next_refresh_at) WHERE state = 'active';
CREATE INDEX connections_to_inspect ON connections (next_inspection_at NULLS FIRST) WHERE state <> 'revoked';
CREATE INDEX connections_to_notice ON connections (next_notice_at) WHERE state <> 'revoked';

-- How fast all replicas together may call Meta for this: the moment from which calls are free again.
CREATE TABLE lifecycle_pace (
    kind    text        PRIMARY KEY CHECK (kind IN ('refresh', 'inspection')),
    free_at timestamptz NOT NULL
);
INSERT INTO lifecycle_pace (kind, free_at) VALUES ('refresh', '1970-01-01Z'), ('inspection', '1970-01-01Z');

-- A tenant's events are counted under a row lock, not by a sequence: they become visible in their order and without
-- gaps, so a reader that has seen 7 never misses a 6. The clock's row outlives its events.
CREATE TABLE connection_event_clock (
    tenant_id text   PRIMARY KEY,
    sequence  bigint NOT NULL,
    oldest    bigint NOT NULL DEFAULT 1
);

CREATE TABLE connection_events (
    tenant_id     text        NOT NULL,
    sequence      bigint      NOT NULL,
    kind          text        NOT NULL,
    connection_id uuid        NOT NULL,
    state         text        NOT NULL,
    reason        text        NOT NULL,
    days_left     int,
    lost_scopes   text[]      NOT NULL,
    expires_at    timestamptz,
    happened_at   timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, sequence)
);
CREATE INDEX connection_events_by_age ON connection_events (happened_at);
