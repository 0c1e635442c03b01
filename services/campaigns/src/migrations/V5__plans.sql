-- Plans. The content is the encoded message as it was accepted; what came of each node stands in its intents.
CREATE TABLE plans (
    tenant_id    text        NOT NULL,
    id           uuid        NOT NULL,
    account_id   bigint      NOT NULL,
    content      bytea       NOT NULL,
    etag         text        NOT NULL,
    -- draft, applying, applied, partial
    state        text        NOT NULL DEFAULT 'draft',
    -- Meta's ad label by which everything that the plan made is found.
    label_id     text,
    -- The account has all pictures of the plan.
    pictures     boolean     NOT NULL DEFAULT false,
    -- The operation that applies it, while there is one.
    operation_id uuid,
    created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, id)
);

CREATE INDEX plans_account ON plans (tenant_id, account_id, id);

-- The ad labels of an account that mark single creates: one for each week.
CREATE TABLE labels (
    tenant_id  text   NOT NULL,
    account_id bigint NOT NULL,
    name       text   NOT NULL,
    label_id   text   NOT NULL,
    PRIMARY KEY (tenant_id, account_id, name)
);
