-- Tenants that share ad accounts, and apps whose secret changes.

-- Which other tenants may use an ad account, by leave of an operator. The account leads the key, as it does in the table
-- of owners.
CREATE TABLE ad_account_shares (
    account_id text        NOT NULL REFERENCES ad_account_owners,
    tenant_id  text        NOT NULL REFERENCES tenants,
    weight     int         NOT NULL CHECK (weight BETWEEN 1 AND 1000),
    shared_at  timestamptz NOT NULL,
    PRIMARY KEY (account_id, tenant_id)
);

-- Who reaches an ad account, whichever tenant: those who lose it lose their leases.
CREATE INDEX assets_by_meta_id ON assets (kind, meta_id);

-- Leases that carry a proof by an app's old secret end when it changes.
CREATE INDEX connections_of_app ON connections (app_id) WHERE state <> 'revoked';

ALTER TABLE meta_apps
    ADD COLUMN secret_version    bigint NOT NULL DEFAULT 1,
    ADD COLUMN secret_created_at timestamptz;

-- Secrets that were replaced and still verify webhooks until accept_until. The id is `{app}/{version}`.
CREATE TABLE meta_app_secrets (
    id                 text        PRIMARY KEY,
    app_id             text        NOT NULL REFERENCES meta_apps,
    version            bigint      NOT NULL,
    tenant_key_version int         NOT NULL,
    key_version        int         NOT NULL,
    wrapped_key        bytea       NOT NULL,
    sealed_replaced    bytea       NOT NULL,
    created_at         timestamptz NOT NULL,
    accept_until       timestamptz NOT NULL,
    vault_tenant       text        GENERATED ALWAYS AS ('system') STORED,
    UNIQUE (app_id, version),
    CONSTRAINT meta_app_secrets_lie_under_a_key
        FOREIGN KEY (vault_tenant, tenant_key_version) REFERENCES tenant_keys (tenant_id, version)
);
