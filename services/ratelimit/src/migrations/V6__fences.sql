-- What a replica that does not reach Redis may spend without it. Written when it ends the epoch; added to the counters in
-- Redis, which know nothing of it, when the next epoch begins there, and removed then.
CREATE TABLE fences (
    app     bigint NOT NULL,
    -- The epoch that was ended; the app's row in `epochs` has the one after.
    epoch   bigint NOT NULL,
    replica uuid   NOT NULL,
    -- The key in Redis.
    bucket  text   NOT NULL,
    -- In the bucket's unit, at most.
    points  bigint NOT NULL,
    -- The bucket's window.
    cell_ms bigint NOT NULL,
    cells   bigint NOT NULL,
    PRIMARY KEY (app, epoch, replica, bucket)
);
