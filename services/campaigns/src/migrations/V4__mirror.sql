-- Ad accounts as Meta describes them. A row is also the proof, for some minutes, that the tenant may use the account.
CREATE TABLE ad_accounts (
    tenant_id  text        NOT NULL,
    account_id bigint      NOT NULL,
    graph      jsonb       NOT NULL,
    fetched_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, account_id)
);

-- Campaigns, ad sets, creatives and ads as Meta's own JSON, so that nothing that we do not know yet is lost.
CREATE TABLE objects (
    tenant_id        text        NOT NULL,
    account_id       bigint      NOT NULL,
    kind             text        NOT NULL,
    id               bigint      NOT NULL,
    -- The campaign of an ad set, the ad set of an ad; 0 where there is none.
    parent_id        bigint      NOT NULL,
    name             text        NOT NULL,
    effective_status text        NOT NULL,
    graph            jsonb       NOT NULL,
    -- When Meta says that it changed. A read that is older than what is stored never overwrites it.
    updated_at       timestamptz,
    fetched_at       timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, account_id, kind, id)
);

CREATE INDEX objects_parent ON objects (tenant_id, account_id, kind, parent_id, id);

-- When an account's objects of one kind were last read from end to end.
CREATE TABLE crawls (
    tenant_id  text        NOT NULL,
    account_id bigint      NOT NULL,
    kind       text        NOT NULL,
    ended_at   timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, account_id, kind)
);
