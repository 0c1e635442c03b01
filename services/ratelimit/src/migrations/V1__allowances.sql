-- Which epoch of an app's counters in Redis is the valid one. Whoever opens the next one holds this row's lock, so that
-- no allowance of the epoch before grows while its sum is read.
CREATE TABLE epochs (
    app           bigint      PRIMARY KEY,
    -- 0 until the app's first epoch is open.
    epoch         bigint      NOT NULL,
    -- Ms since 1970 by the clock of Redis. What was spent before is not in `allowances`, so a loss soon after counts as
    -- all spent. 0 where nothing was ever spent uncounted.
    exact_from_ms bigint      NOT NULL,
    -- Why it was opened, for people.
    reason        text        NOT NULL,
    opened        timestamptz NOT NULL DEFAULT now()
);

-- What a replica may charge to a bucket in Redis, written before it does: after a loss nothing more than this can have
-- been spent. `bucket` is the key in Redis.
CREATE TABLE allowances (
    app      bigint NOT NULL,
    bucket   text   NOT NULL,
    -- When the stretch of time ends in which it may be charged, in ms since 1970 by the clock of Redis.
    ends_ms  bigint NOT NULL,
    replica  uuid   NOT NULL,
    epoch    bigint NOT NULL,
    -- In the bucket's unit. Lowered to what was charged once the stretch is over.
    points   bigint NOT NULL,
    -- From then on nothing of it counts at Meta.
    until_ms bigint NOT NULL,
    -- The bucket's window.
    cell_ms  bigint NOT NULL,
    cells    bigint NOT NULL,
    PRIMARY KEY (app, bucket, ends_ms, replica, epoch)
);

CREATE INDEX allowances_over ON allowances (until_ms);
