-- Who may call, and for whom.

CREATE TABLE tenants (
    tenant_id    text        PRIMARY KEY CHECK (tenant_id ~ '^[a-z0-9-]{1,40}$' AND tenant_id <> 'system'),
    display_name text        NOT NULL,
    meta_version text        NOT NULL,
    state        text        NOT NULL CHECK (state IN ('active', 'suspended')),
    version      bigint      NOT NULL DEFAULT 1,
    created_at   timestamptz NOT NULL,
    updated_at   timestamptz NOT NULL
);

-- One owner per ad account over all tenants, so the account and not the tenant leads the key: a reference table where
-- tenants' tables are distributed.
CREATE TABLE ad_account_owners (
    account_id  text        PRIMARY KEY,
    tenant_id   text        NOT NULL REFERENCES tenants,
    assigned_at timestamptz NOT NULL
);

-- A caller may act for several tenants, so it belongs to none. The secret is kept as a hash only.
CREATE TABLE callers (
    id            uuid        PRIMARY KEY,
    display_name  text        NOT NULL,
    tenants       text[]      NOT NULL,
    scopes        text[]      NOT NULL,
    secret_sha256 bytea       NOT NULL,
    version       bigint      NOT NULL DEFAULT 1,
    created_at    timestamptz NOT NULL
);
CREATE INDEX callers_by_tenant ON callers USING gin (tenants);

-- The one bootstrap of this installation. Closed once somebody has taken a token.
CREATE TABLE bootstrap (
    once        boolean     PRIMARY KEY DEFAULT true CHECK (once),
    code_sha256 bytea       NOT NULL,
    tenant_id   text        NOT NULL,
    operator_id uuid        NOT NULL,
    caller_id   uuid        NOT NULL,
    made_at     timestamptz NOT NULL,
    closed_at   timestamptz
);
