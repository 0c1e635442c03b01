-- Consent at Meta, and what it reaches.

CREATE TABLE login_states (
    state_sha256 bytea       PRIMARY KEY,
    tenant_id    text        NOT NULL REFERENCES tenants,
    app_id       text        NOT NULL REFERENCES meta_apps,
    scopes       text[]      NOT NULL,
    redirect_uri text        NOT NULL,
    began_by     text        NOT NULL,
    expires_at   timestamptz NOT NULL,
    used_at      timestamptz
);

-- token_version grows with every new token, version with every change. A revoked connection holds no token: its
-- wrapped key and its ciphertext are gone once Meta was told.
CREATE TABLE connections (
    tenant_id              text        NOT NULL REFERENCES tenants,
    id                     uuid        NOT NULL,
    kind                   text        NOT NULL CHECK (kind IN ('user', 'system_user')),
    state                  text        NOT NULL CHECK (state IN ('active', 'needs_consent', 'revoked')),
    state_reason           text        NOT NULL,
    app_id                 text        NOT NULL REFERENCES meta_apps,
    user_id                text        NOT NULL,
    scopes                 text[]      NOT NULL,
    expected_scopes        text[]      NOT NULL,
    granular_scopes        jsonb       NOT NULL,
    expires_at             timestamptz,
    data_access_expires_at timestamptz,
    inspected_at           timestamptz NOT NULL,
    token_version          bigint      NOT NULL DEFAULT 1,
    version                bigint      NOT NULL DEFAULT 1,
    tenant_key_version     int         NOT NULL,
    key_version            int         NOT NULL,
    wrapped_key            bytea,
    sealed_token           bytea,
    created_at             timestamptz NOT NULL,
    updated_at             timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
CREATE UNIQUE INDEX connections_of_user ON connections (tenant_id, app_id, kind, user_id) WHERE state <> 'revoked';
CREATE INDEX connections_to_shred ON connections (updated_at) WHERE state = 'revoked' AND sealed_token IS NOT NULL;

-- What each connection reaches. An asset that two connections reach has two rows.
CREATE TABLE assets (
    tenant_id     text        NOT NULL,
    kind          smallint    NOT NULL,
    meta_id       text        NOT NULL,
    connection_id uuid        NOT NULL,
    display_name  text        NOT NULL,
    roles         text[]      NOT NULL,
    discovered_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, kind, meta_id, connection_id),
    FOREIGN KEY (tenant_id, connection_id) REFERENCES connections ON DELETE CASCADE
);
CREATE INDEX assets_of_connection ON assets (tenant_id, connection_id);

-- The generation is counted under a row lock, not by a sequence: numbers become visible in their order, so a reader
-- that has seen 7 never misses a 6.
CREATE TABLE revocation_clock (
    once       boolean PRIMARY KEY DEFAULT true CHECK (once),
    generation bigint  NOT NULL
);
INSERT INTO revocation_clock (generation) VALUES (0);

CREATE TABLE revocations (
    generation bigint      PRIMARY KEY,
    tenant_id  text        NOT NULL,
    kind       text        NOT NULL CHECK (kind IN ('connection', 'caller', 'signing_key', 'tenant')),
    subject    text        NOT NULL,
    revoked_at timestamptz NOT NULL
);
