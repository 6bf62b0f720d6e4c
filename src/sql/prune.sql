-- Housekeeping (prune.c).

CREATE FUNCTION diagsync.prune(idle interval DEFAULT NULL) RETURNS integer
	AS 'MODULE_PATHNAME', 'diagsync_prune'
	LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION diagsync.prune(interval) IS
'drop the tombstones that nobody needs and return how many; with an interval also those that only links idle for so long hold back, which then compare in full once';
