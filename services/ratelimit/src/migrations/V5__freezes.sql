-- What somebody froze by hand: only safety calls go. The row of a freeze that was ended stays, with 0 as its end, so that
-- every replica thaws what it may have frozen.
CREATE TABLE freezes (
    -- Who froze it; `system` for an operator who named no tenant.
    tenant_id  text        NOT NULL,
    -- `metaApps/1` or `adAccounts/act_1`.
    name       text        NOT NULL UNIQUE,
    -- In ms since 1970.
    until_ms   bigint      NOT NULL,
    reason     text        NOT NULL,
    actor      text        NOT NULL,
    -- What an operator froze, no tenant thaws.
    operators  boolean     NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, name)
);

CREATE INDEX freezes_until ON freezes (until_ms);
