-- Who may not call any more, what of the old is let go.

-- Somebody whom an issuer outside vouches for and whom an operator locked out, as `{issuer}:{sub}`. No tenant's: such a
-- person may act for several.
CREATE TABLE revoked_subjects (
    subject    text        PRIMARY KEY,
    reason     text        NOT NULL,
    revoked_by text        NOT NULL,
    revoked_at timestamptz NOT NULL
);

ALTER TABLE revocations DROP CONSTRAINT revocations_kind_check;
ALTER TABLE revocations
    ADD CONSTRAINT revocations_kind_check
    CHECK (kind IN ('connection', 'caller', 'signing_key', 'tenant', 'subject', 'subject_restored'));

-- Anchors stay final but for one thing: of the anchors of a chain and a day all may go but the last. This table's own rule
-- says which, so that nobody who deletes by mistake takes a whole day.
DROP TRIGGER audit_anchors_final ON audit_anchors;
CREATE TRIGGER audit_anchors_final
    BEFORE UPDATE OR TRUNCATE ON audit_anchors
    FOR EACH STATEMENT EXECUTE FUNCTION audit_anchors_are_final();

CREATE FUNCTION audit_anchors_keep_a_day() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM audit_anchors AS a
         WHERE a.tenant_id = OLD.tenant_id
           AND a.service = OLD.service
           AND a.sequence > OLD.sequence
           AND (a.anchored_at AT TIME ZONE 'UTC')::date = (OLD.anchored_at AT TIME ZONE 'UTC')::date) THEN
        RAISE EXCEPTION 'the last anchor of a day is final';
    END IF;
    RETURN OLD;
END
$$;

CREATE TRIGGER audit_anchors_thinned
    BEFORE DELETE ON audit_anchors
    FOR EACH ROW EXECUTE FUNCTION audit_anchors_keep_a_day();
