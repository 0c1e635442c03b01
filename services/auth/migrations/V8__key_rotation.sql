-- Keys that change while everything runs: which row lies under which key, when a key was put away, who closed the vault.

ALTER TABLE tenant_keys
    -- No row lay under it any more and a newer one was in use. It can be deleted from then on.
    ADD COLUMN retired_at timestamptz;

-- A key that something lies under cannot be deleted, whatever a program believes: the columns name the key while there is
-- something to open. A writer that seals under a key which goes at that moment fails instead of leaving what nobody opens.
ALTER TABLE connections
    ADD COLUMN lies_under int GENERATED ALWAYS AS (CASE WHEN wrapped_key IS NULL THEN NULL ELSE tenant_key_version END) STORED,
    ADD CONSTRAINT connections_lie_under_a_key FOREIGN KEY (tenant_id, lies_under) REFERENCES tenant_keys (tenant_id, version);
CREATE INDEX connections_by_key ON connections (tenant_id, tenant_key_version) WHERE wrapped_key IS NOT NULL;

ALTER TABLE meta_apps
    ADD COLUMN vault_tenant text GENERATED ALWAYS AS ('system') STORED,
    ADD CONSTRAINT meta_apps_lie_under_a_key
        FOREIGN KEY (vault_tenant, tenant_key_version) REFERENCES tenant_keys (tenant_id, version);

-- A key signs from signs_from on until a newer one does, and is published until published_until; NULL while no newer one
-- is there. So a new key is known to everybody before it signs, and an old one until its last token has ended.
ALTER TABLE signing_keys
    ADD COLUMN vault_tenant    text        GENERATED ALWAYS AS ('system') STORED,
    ADD COLUMN algorithm       text        NOT NULL DEFAULT 'EdDSA' CHECK (algorithm IN ('EdDSA', 'ES256')),
    ADD COLUMN signs_from      timestamptz NOT NULL DEFAULT '-infinity',
    ADD COLUMN published_until timestamptz,
    ADD CONSTRAINT signing_keys_lie_under_a_key
        FOREIGN KEY (vault_tenant, tenant_key_version) REFERENCES tenant_keys (tenant_id, version);

-- What keyed hashes are made with, one per tenant, wrapped like its key. It stays while the tenant's key rotates, because
-- equal values must have equal hashes; it goes when the tenant is shredded.
CREATE TABLE hash_keys (
    tenant_id  text        PRIMARY KEY,
    wrapped    bytea       NOT NULL,
    wrapped_by text        NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

-- One row. The generation grows whenever replicas have to forget the keys that they opened.
CREATE TABLE vault_state (
    once       boolean     PRIMARY KEY DEFAULT true CHECK (once),
    generation bigint      NOT NULL,
    sealed     boolean     NOT NULL,
    reason     text        NOT NULL,
    changed_by text        NOT NULL,
    changed_at timestamptz NOT NULL
);
INSERT INTO vault_state (generation, sealed, reason, changed_by, changed_at) VALUES (0, false, '', 'services/auth', now());

-- Tenants whose keys were destroyed. Versions go on after the last one, so that no key of old is taken for a new one.
CREATE TABLE shreddings (
    tenant_id    text        NOT NULL,
    last_version int         NOT NULL,
    shredded_at  timestamptz NOT NULL,
    -- From this day on no backup holds the wrapped keys any more.
    closed_on    date        NOT NULL,
    shredded_by  text        NOT NULL,
    PRIMARY KEY (tenant_id, shredded_at)
);

-- Key-encryption keys that wrapped something which was shredded: to be put away at the provider by that day.
CREATE TABLE kek_retirements (
    kek_id text PRIMARY KEY,
    due_on date NOT NULL
);
