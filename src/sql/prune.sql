-- Housekeeping (prune.c).

CREATE FUNCTION diagsync.prune(idle interval DEFAULT NULL) RETURNS integer
	AS 'MODULE_PATHNAME', 'diagsync_prune'
	LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION diagsync.prune(interval) IS
'drop the tombstones that no link needs, and return how many. With an interval also those that only links need which have not synced for so long; these compare in full once';
