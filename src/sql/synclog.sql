-- Syncs that run (progress.c), and the log of those that have run (synclog.c).

CREATE TABLE diagsync.sync_log (
	principal text COLLATE "C" NOT NULL,
	action text NOT NULL,
	local_id text COLLATE "C" NOT NULL,
	public_id text COLLATE "C" NOT NULL,
	called_at timestamptz NOT NULL,
	duration_ms double precision NOT NULL,
	success boolean NOT NULL,
	inserted bigint,
	updated bigint,
	deleted bigint,
	merged bigint,
	resolved bigint,
	conflicts bigint
);
-- It has no key, and a publication of all tables takes deletions with one only.
ALTER TABLE diagsync.sync_log REPLICA IDENTITY FULL;
CREATE INDEX sync_log_principal_called_at ON diagsync.sync_log (principal, called_at);
CREATE TRIGGER diagsync_refuse_truncate
	BEFORE TRUNCATE ON diagsync.sync_log FOR EACH STATEMENT
	EXECUTE FUNCTION diagsync.refuse_truncate();
COMMENT ON TABLE diagsync.sync_log IS
'every push, pull, resolve, share, clone, link and refresh that came to an end; diagsync.prune() drops entries older than diagsync.sync_log_days';
COMMENT ON COLUMN diagsync.sync_log.principal IS
'who called it';
COMMENT ON COLUMN diagsync.sync_log.action IS
'what: push, pull, resolve, share, clone, link or refresh';
COMMENT ON COLUMN diagsync.sync_log.local_id IS
'the local diagram';
COMMENT ON COLUMN diagsync.sync_log.public_id IS
'the shared diagram';
COMMENT ON COLUMN diagsync.sync_log.called_at IS
'when it was called';
COMMENT ON COLUMN diagsync.sync_log.duration_ms IS
'how many milliseconds it took, waiting included';
COMMENT ON COLUMN diagsync.sync_log.success IS
'whether no conflict was left and it did what was expected';
COMMENT ON COLUMN diagsync.sync_log.inserted IS
'entities inserted at the end that it is about; null where it counts none';
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

CREATE TYPE diagsync.sync_progress AS (
	pid integer,
	action text,
	phase text,
	entities_total bigint,
	entities_done bigint
);
COMMENT ON TYPE diagsync.sync_progress IS
'how far a share, clone, push or pull is that runs just now';
COMMENT ON COLUMN diagsync.sync_progress.pid IS
'the session, as in pg_stat_activity, where its query is';
COMMENT ON COLUMN diagsync.sync_progress.action IS
'share, clone, push or pull';
COMMENT ON COLUMN diagsync.sync_progress.phase IS
'collecting what may have changed, checking (looking whether there are conflicts before anything is written), writing';
COMMENT ON COLUMN diagsync.sync_progress.entities_total IS
'how many entities the phase goes through (one that both sides changed may count twice); null where that is not known before';
COMMENT ON COLUMN diagsync.sync_progress.entities_done IS
'how many of them it has gone through';

CREATE FUNCTION diagsync.progress() RETURNS SETOF diagsync.sync_progress
	AS 'MODULE_PATHNAME', 'diagsync_progress'
	LANGUAGE C VOLATILE PARALLEL RESTRICTED COST 100;
COMMENT ON FUNCTION diagsync.progress() IS
'each share, clone, push or pull that runs in this database just now, of the sessions that the caller may look at';
