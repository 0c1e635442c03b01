-- What a request_id was answered. An answer of NULL means that the request is in flight.
CREATE TABLE requests (
    tenant_id   text        NOT NULL,
    request_id  uuid        NOT NULL,
    method      text        NOT NULL,
    fingerprint bytea       NOT NULL,
    answer      bytea,
    begun_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at  timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, request_id)
);

CREATE INDEX requests_expiry ON requests (expires_at);
