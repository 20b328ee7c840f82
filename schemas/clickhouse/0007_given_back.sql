-- A target that is not written again because the listing shows less than expected has an
-- outcome of its own.

ALTER TABLE push_outcomes{on} COMMENT COLUMN outcome 'accepted, refused, not_sent, unknown, superseded or given_back';
