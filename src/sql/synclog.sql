-- Syncs that run (progress.c), and the log of those that have run (synclog.c).

CREATE TABLE diagsync.sync_log (
	principal text COLLATE "C" NOT NULL,
	action text NOT NULL,
	local_id text COLLATE "C" NOT NULL,
	public_id text COLLATE "C" NOT NULL,
	called_at timestamptz NOT NULL,
	duration_ms double precision NOT NULL,
	success boolean NOT NULL,
	inserted integer,
	updated integer,
	deleted integer,
	merged integer,
	resolved integer,
	conflicts integer,
	refused_deletions integer
);
-- It has no key, and a publication of all tables takes deletions with one only.
ALTER TABLE diagsync.sync_log REPLICA IDENTITY FULL;
CREATE INDEX sync_log_principal_called_at ON diagsync.sync_log (principal, called_at);
CREATE TRIGGER diagsync_refuse_truncate
	BEFORE TRUNCATE ON diagsync.sync_log FOR EACH STATEMENT
	EXECUTE FUNCTION diagsync.refuse_truncate();
COMMENT ON TABLE diagsync.sync_log IS
'every push, pull, resolution, discard, share, clone, link and refresh that ended; diagsync.prune() drops entries older than diagsync.sync_log_days';
COMMENT ON COLUMN diagsync.sync_log.principal IS
'who called it';
COMMENT ON COLUMN diagsync.sync_log.action IS
'what: push, pull, resolve, resolve_all, resolve_many, discard, share, clone, link or refresh';
COMMENT ON COLUMN diagsync.sync_log.local_id IS
'the local diagram';
COMMENT ON COLUMN diagsync.sync_log.public_id IS
'the shared diagram';
COMMENT ON COLUMN diagsync.sync_log.called_at IS
'when it was called';
COMMENT ON COLUMN diagsync.sync_log.duration_ms IS
'how many milliseconds it took, waiting included';
COMMENT ON COLUMN diagsync.sync_log.success IS
'whether no conflict was left, and it did what was expected';
COMMENT ON COLUMN diagsync.sync_log.inserted IS
'entities inserted in the copy that it wrote; null if it counts none';
COMMENT ON COLUMN diagsync.sync_log.updated IS
'entities updated there';
COMMENT ON COLUMN diagsync.sync_log.deleted IS
'entities deleted there';
COMMENT ON COLUMN diagsync.sync_log.merged IS
'entities merged property by property';
COMMENT ON COLUMN diagsync.sync_log.resolved IS
'conflicts settled';
COMMENT ON COLUMN diagsync.sync_log.conflicts IS
'conflicts left';
COMMENT ON COLUMN diagsync.sync_log.refused_deletions IS
'deletions that were refused, because they were too many';

CREATE TYPE diagsync.sync_progress AS (
	pid integer,
	action text,
	phase text,
	entities_total integer,
	entities_done integer
);
COMMENT ON TYPE diagsync.sync_progress IS
'how far a running share, clone, push, pull or resolution is';
COMMENT ON COLUMN diagsync.sync_progress.pid IS
'the session, as in pg_stat_activity, where its query is';
COMMENT ON COLUMN diagsync.sync_progress.action IS
'share, clone, push, pull or resolve';
COMMENT ON COLUMN diagsync.sync_progress.phase IS
'collecting (what may have changed), checking (for conflicts, before anything is written), or writing';
COMMENT ON COLUMN diagsync.sync_progress.entities_total IS
'how many entities the phase goes through (one that both sides changed may count twice); null where that is not known before';
COMMENT ON COLUMN diagsync.sync_progress.entities_done IS
'how many of them it has gone through';

CREATE FUNCTION diagsync.progress() RETURNS SETOF diagsync.sync_progress
	AS 'MODULE_PATHNAME', 'diagsync_progress'
	LANGUAGE C VOLATILE PARALLEL RESTRICTED COST 100;
COMMENT ON FUNCTION diagsync.progress() IS
'each share, clone, push, pull or resolution that is running in this database, of the sessions that the caller may look at';
