-- The order of changes: its one row is locked until the commit, so that they become visible in their order and a replica
-- reads only what it has not read.
CREATE TABLE quota_policy_clock (
    one     boolean PRIMARY KEY DEFAULT true CHECK (one),
    version bigint  NOT NULL
);
INSERT INTO quota_policy_clock (version) VALUES (0);

-- What people set beside the settings. A row is never deleted: where everything was cleared it says nothing.
CREATE TABLE quota_policies (
    -- Who set it; `system` for operators.
    tenant_id  text        NOT NULL,
    -- `metaApps/1` or `adAccounts/act_1`.
    name       text        NOT NULL,
    document   jsonb       NOT NULL,
    actor      text        NOT NULL,
    -- Of the clock; the etag.
    version    bigint      NOT NULL UNIQUE,
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, name)
);

CREATE INDEX quota_policies_name ON quota_policies (name, tenant_id);
