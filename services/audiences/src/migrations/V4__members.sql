-- An upload of people. States as in the API.
CREATE TABLE member_jobs (
    tenant_id      text        NOT NULL,
    id             uuid        NOT NULL,
    account_id     bigint      NOT NULL,
    audience_id    bigint      NOT NULL,
    request_id     uuid        NOT NULL,
    subject        text        NOT NULL,
    mode           text        NOT NULL CHECK (mode IN ('add', 'remove')),
    form           text        NOT NULL CHECK (form IN ('raw', 'hashed')),
    state          text        NOT NULL DEFAULT 'open'
        CHECK (state IN ('open', 'running', 'succeeded', 'failed', 'cancelled', 'expired')),
    next_sequence  bigint      NOT NULL DEFAULT 1,
    rows_seen      bigint      NOT NULL DEFAULT 0,
    rows_accepted  bigint      NOT NULL DEFAULT 0,
    rows_rejected  bigint      NOT NULL DEFAULT 0,
    fields_dropped bigint      NOT NULL DEFAULT 0,
    -- Which keys occur, one bit each: the schema of the upload.
    keys           integer     NOT NULL DEFAULT 0,
    operation_id   uuid,
    create_time    timestamptz NOT NULL,
    update_time    timestamptz NOT NULL,
    expire_time    timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, request_id)
);

CREATE INDEX member_jobs_expire ON member_jobs (expire_time);

-- The hashed rows of a part, sealed. Gone when the job ends or expires; those that Meta did not receive whole, when it
-- expires.
CREATE TABLE member_parts (
    tenant_id text   NOT NULL,
    job_id    uuid   NOT NULL,
    sequence  bigint NOT NULL,
    -- The place of its first row among all rows of the job.
    first_row bigint NOT NULL,
    rows      integer NOT NULL,
    accepted  integer NOT NULL,
    sealed    bytea  NOT NULL,
    PRIMARY KEY (tenant_id, job_id, sequence),
    FOREIGN KEY (tenant_id, job_id) REFERENCES member_jobs (tenant_id, id) ON DELETE CASCADE
);

-- What was wrong with which row; never a value.
CREATE TABLE member_errors (
    tenant_id    text    NOT NULL,
    job_id       uuid    NOT NULL,
    row          bigint  NOT NULL,
    number       integer NOT NULL,
    field        text    NOT NULL,
    reason       text    NOT NULL,
    row_rejected boolean NOT NULL,
    PRIMARY KEY (tenant_id, job_id, row, number),
    FOREIGN KEY (tenant_id, job_id) REFERENCES member_jobs (tenant_id, id) ON DELETE CASCADE
);

-- Upload sessions of a run. The number is chosen before the first byte goes, so that a repeat after a crash is the same
-- session to Meta.
CREATE TABLE member_sessions (
    tenant_id      text    NOT NULL,
    job_id         uuid    NOT NULL,
    number         integer NOT NULL,
    session_id     bigint  NOT NULL,
    first_sequence bigint  NOT NULL,
    last_sequence  bigint  NOT NULL,
    rows           integer NOT NULL,
    sent           boolean NOT NULL DEFAULT false,
    received       bigint  NOT NULL DEFAULT 0,
    invalid        bigint  NOT NULL DEFAULT 0,
    -- How often Meta received another number of rows than were sent.
    miscounts      integer NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant_id, job_id, number),
    FOREIGN KEY (tenant_id, job_id) REFERENCES member_jobs (tenant_id, id) ON DELETE CASCADE
);
