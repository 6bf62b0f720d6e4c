-- What differs: read-only (status.c, changes.c).

CREATE TYPE diagsync.sync_status AS (
	local_id text,
	public_id text,
	state text,
	diverged boolean,
	local_changes integer,
	public_changes integer,
	conflicts integer,
	last_synced_at timestamptz,
	last_pushed_at timestamptz,
	last_pulled_at timestamptz,
	public_version bigint
);
COMMENT ON TYPE diagsync.sync_status IS
'how a local diagram differs from its shared copy';
COMMENT ON COLUMN diagsync.sync_status.local_id IS 'the local diagram';
COMMENT ON COLUMN diagsync.sync_status.public_id IS 'the shared diagram that it is linked to, or null';
COMMENT ON COLUMN diagsync.sync_status.state IS 'in_sync, pending, conflict, or unlinked (then the figures are null)';
COMMENT ON COLUMN diagsync.sync_status.diverged IS 'whether either side changed anything';
COMMENT ON COLUMN diagsync.sync_status.local_changes IS 'entities that the local side changed since the base; conflicting edits count on both sides, identical edits on neither';
COMMENT ON COLUMN diagsync.sync_status.public_changes IS 'entities that the shared side changed since the base; conflicting edits count on both sides, identical edits on neither';
COMMENT ON COLUMN diagsync.sync_status.conflicts IS 'entities in conflict: both sides changed them differently, a reference would dangle, or no captured change explains the difference';
COMMENT ON COLUMN diagsync.sync_status.last_synced_at IS 'the later of last_pushed_at and last_pulled_at';
COMMENT ON COLUMN diagsync.sync_status.last_pushed_at IS 'when the link last pushed';
COMMENT ON COLUMN diagsync.sync_status.last_pulled_at IS 'when the link last pulled';
COMMENT ON COLUMN diagsync.sync_status.public_version IS 'greatest revision of the shared copy as of the last sync';

CREATE TYPE diagsync.change AS (
	entity_id text,
	side text,
	local_change text,
	public_change text,
	conflict text,
	paths text[],
	base jsonb,
	local jsonb,
	public jsonb,
	local_modified_at timestamptz,
	local_modified_by text,
	public_modified_at timestamptz,
	public_modified_by text,
	version text
);
COMMENT ON TYPE diagsync.change IS
'an entity on which a local diagram and its shared copy differ: what each side did since the base, and the three versions';
COMMENT ON COLUMN diagsync.change.entity_id IS 'the entity';
COMMENT ON COLUMN diagsync.change.side IS 'who changed it: local, public or both; null where nothing is left to sync';
COMMENT ON COLUMN diagsync.change.local_change IS 'what the local side did: insert, update, delete or null';
COMMENT ON COLUMN diagsync.change.public_change IS 'what the shared side did: insert, update, delete or null';
COMMENT ON COLUMN diagsync.change.conflict IS 'null, or its kind, the local side first: update_update, update_delete, delete_update, insert_insert; or dangling (one refers to what the other side deleted); or cycle (a sync would close a ring of references); or unknown (no captured change explains the difference)';
COMMENT ON COLUMN diagsync.change.paths IS 'JSON Pointers in conflict (RFC 6901; the empty pointer is the whole entity), or null';
COMMENT ON COLUMN diagsync.change.base IS 'the version that both sides last agreed on, or null';
COMMENT ON COLUMN diagsync.change.local IS 'the local version, or null';
COMMENT ON COLUMN diagsync.change.public IS 'the shared version, or null';
COMMENT ON COLUMN diagsync.change.local_modified_at IS 'when the local version was edited or deleted';
COMMENT ON COLUMN diagsync.change.local_modified_by IS 'by whom the local version was edited or deleted';
COMMENT ON COLUMN diagsync.change.public_modified_at IS 'when the shared version was edited or deleted';
COMMENT ON COLUMN diagsync.change.public_modified_by IS 'by whom the shared version was edited or deleted';
COMMENT ON COLUMN diagsync.change.version IS 'a digest of the three versions by value, to be given to resolve() as "expected"';

CREATE FUNCTION diagsync.status(local text, public text DEFAULT NULL)
	RETURNS diagsync.sync_status
	AS 'MODULE_PATHNAME', 'diagsync_status'
	LANGUAGE C STABLE PARALLEL RESTRICTED COST 1000;
COMMENT ON FUNCTION diagsync.status(text, text) IS
'how a local diagram differs from its shared copy; reads in proportion to what changed, takes no locks, works on a standby';

CREATE FUNCTION diagsync.status_all() RETURNS SETOF diagsync.sync_status
	AS 'MODULE_PATHNAME', 'diagsync_status_all'
	LANGUAGE C STABLE PARALLEL RESTRICTED COST 1000;
COMMENT ON FUNCTION diagsync.status_all() IS
'the status of every linked diagram, ordered by id';

CREATE FUNCTION diagsync.changes(local text) RETURNS SETOF diagsync.change
	AS 'MODULE_PATHNAME', 'diagsync_changes'
	LANGUAGE C STABLE PARALLEL RESTRICTED COST 1000;
COMMENT ON FUNCTION diagsync.changes(text) IS
'each entity that differs between a local diagram and its shared copy, ordered by id';

CREATE FUNCTION diagsync.conflicts(local text) RETURNS SETOF diagsync.change
	AS 'MODULE_PATHNAME', 'diagsync_conflicts'
	LANGUAGE C STABLE PARALLEL RESTRICTED COST 1000;
COMMENT ON FUNCTION diagsync.conflicts(text) IS
'those of diagsync.changes() that conflict: both sides changed them differently, a reference would dangle, or no captured change explains the difference';

CREATE FUNCTION diagsync.refresh(local text) RETURNS diagsync.sync_status
	AS 'MODULE_PATHNAME', 'diagsync_refresh'
	LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION diagsync.refresh(text) IS
'compare a local diagram with its shared copy in full, note what was seen and return the status; no entity changes';
