-- Keys, each wrapped by the one above it. Deleting a wrapped key shreds all that lies beneath it.

CREATE TABLE tenant_keys (
    tenant_id  text        NOT NULL,
    version    int         NOT NULL,
    wrapped    bytea       NOT NULL,
    wrapped_by text        NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, version)
);

-- A row that seals something has its own key, wrapped by the tenant's key of that version.
CREATE TABLE signing_keys (
    version            int         PRIMARY KEY,
    key_id             text        NOT NULL UNIQUE,
    public_key         bytea       NOT NULL,
    tenant_key_version int         NOT NULL,
    key_version        int         NOT NULL,
    wrapped_key        bytea       NOT NULL,
    sealed_private     bytea       NOT NULL,
    created_at         timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE meta_apps (
    app_id             text        PRIMARY KEY,
    display_name       text        NOT NULL,
    api_version        text        NOT NULL,
    version            bigint      NOT NULL DEFAULT 1,
    tenant_key_version int         NOT NULL,
    key_version        int         NOT NULL,
    wrapped_key        bytea       NOT NULL,
    sealed_secret      bytea       NOT NULL,
    created_at         timestamptz NOT NULL,
    updated_at         timestamptz NOT NULL
);
