-- What has changed in one shared diagram since a reader looked last (feed.c).

CREATE TYPE diagsync.feed_page AS (
	mark text,
	resync boolean,
	more boolean,
	changes json
);
COMMENT ON TYPE diagsync.feed_page IS
'what was written and deleted in a shared diagram since a mark';
COMMENT ON COLUMN diagsync.feed_page.mark IS 'the mark to give next: what its reader has seen then';
COMMENT ON COLUMN diagsync.feed_page.resync IS 'whether the reader is to forget what they have: none or no valid mark was given, and this page begins with all that there is';
COMMENT ON COLUMN diagsync.feed_page.more IS 'whether there is more at once';
COMMENT ON COLUMN diagsync.feed_page.changes IS 'an array of {"id", "deleted", "doc", "modifiedAt", "modifiedBy"}, in ascending ids; doc is null where the entity was deleted';

CREATE FUNCTION diagsync.changes_since(
		diagram text,
		mark text DEFAULT NULL,
		max integer DEFAULT 1000) RETURNS diagsync.feed_page
	AS 'MODULE_PATHNAME', 'diagsync_changes_since'
	LANGUAGE C STABLE PARALLEL RESTRICTED COST 1000;
COMMENT ON FUNCTION diagsync.changes_since(text, text, integer) IS
'what was written and deleted in a shared diagram since a mark, up to max entities (10000 at most), with the mark to give next; without a mark, or with one that is no longer valid, all that there is';
