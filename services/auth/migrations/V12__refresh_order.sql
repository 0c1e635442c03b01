-- When many connections fall due at once, a claim takes those that end first, and must not read and sort all to find them.
-- Few at once are found by when they fall due. Writers wait while it is made: about a second for a million rows.
CREATE INDEX connections_by_end ON connections (expires_at)
    WHERE state = 'active' AND next_refresh_at IS NOT NULL AND sealed_token IS NOT NULL;
