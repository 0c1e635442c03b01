-- Uploads in parts. They stand here only until they are whole: then the picture goes to Meta and the parts go. Not logged:
-- a crash of the database takes uploads and parts together, so one that it cuts is not found and is begun anew.
CREATE UNLOGGED TABLE uploads (
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

CREATE UNLOGGED TABLE upload_parts (
    tenant_id text   NOT NULL,
    upload_id uuid   NOT NULL,
    part_from bigint NOT NULL,
    content   bytea  NOT NULL,
    PRIMARY KEY (tenant_id, upload_id, part_from)
);
