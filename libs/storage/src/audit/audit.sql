-- Who changed what: a hash chain per tenant. The head is locked last in a transaction that changes something.
CREATE TABLE audit_heads (
    tenant_id text   PRIMARY KEY,
    sequence  bigint NOT NULL,
    hash      bytea  NOT NULL
);

CREATE TABLE audit_entries (
    tenant_id  text        NOT NULL,
    sequence   bigint      NOT NULL,
    written_at timestamptz NOT NULL,
    actor      text        NOT NULL,
    action     text        NOT NULL,
    resource   text        NOT NULL,
    request_id uuid,
    -- JSON as text, because the hash covers these very characters.
    detail     text        NOT NULL,
    previous   bytea       NOT NULL,
    hash       bytea       NOT NULL,
    PRIMARY KEY (tenant_id, sequence)
);

-- Entries are never changed by the service. Whoever may drop this trigger can still tamper, and the chain shows it.
CREATE FUNCTION audit_entries_are_final() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'audit entries are final';
END
$$;

CREATE TRIGGER audit_entries_final
    BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_entries
    FOR EACH STATEMENT EXECUTE FUNCTION audit_entries_are_final();
