-- Uploads in parts. They stand here only until they are whole: then the picture goes to Meta and the parts go.
CREATE TABLE uploads (
    tenant_id   text        NOT NULL,
    id          uuid        NOT NULL,
    account_id  bigint      NOT NULL,
    file_name   text        NOT NULL,
    sha256      bytea       NOT NULL,
    bytes_total bigint      NOT NULL,
    next_offset bigint      NOT NULL DEFAULT 0,
    -- What Meta answered, encoded.
    image       bytea,
    touched_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, id)
);

CREATE INDEX uploads_touched ON uploads (touched_at);

-- Not logged: an upload that a crash of the database cuts is begun anew.
CREATE UNLOGGED TABLE upload_parts (
    tenant_id text   NOT NULL,
    upload_id uuid   NOT NULL,
    part_from bigint NOT NULL,
    content   bytea  NOT NULL,
    PRIMARY KEY (tenant_id, upload_id, part_from)
);
