-- The heads of the chains of all services, kept where those services cannot write. The signature is a keyed hash whose key
-- only the vault opens: whoever may change this table, and even the service's own, cannot make one.
CREATE TABLE audit_anchors (
    tenant_id   text        NOT NULL,
    service     text        NOT NULL,
    sequence    bigint      NOT NULL,
    hash        bytea       NOT NULL,
    anchored_at timestamptz NOT NULL,
    signature   bytea       NOT NULL,
    PRIMARY KEY (tenant_id, service, sequence)
);
CREATE INDEX audit_anchors_by_time ON audit_anchors (tenant_id, service, anchored_at);

CREATE FUNCTION audit_anchors_are_final() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'anchors are final';
END
$$;

CREATE TRIGGER audit_anchors_final
    BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_anchors
    FOR EACH STATEMENT EXECUTE FUNCTION audit_anchors_are_final();

-- One replica anchors at a time: whoever takes the turn has it until then.
CREATE TABLE audit_turn (
    once        boolean     PRIMARY KEY DEFAULT true CHECK (once),
    taken_until timestamptz NOT NULL
);
INSERT INTO audit_turn (taken_until) VALUES ('epoch');

-- Broken places that were found, each told once.
CREATE TABLE audit_findings (
    tenant_id text        NOT NULL,
    service   text        NOT NULL,
    sequence  bigint      NOT NULL,
    problem   text        NOT NULL,
    found_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, service, sequence)
);

-- How often tokens were leased: by hour, by the service that leased, for whom, and whose token.
CREATE TABLE credential_usage (
    tenant_id     text        NOT NULL,
    hour_at       timestamptz NOT NULL,
    service       text        NOT NULL,
    caller        text        NOT NULL,
    connection_id uuid        NOT NULL,
    leases        bigint      NOT NULL,
    unusual       boolean     NOT NULL DEFAULT false,
    PRIMARY KEY (tenant_id, hour_at, service, caller, connection_id)
);
CREATE INDEX credential_usage_by_age ON credential_usage (hour_at);
