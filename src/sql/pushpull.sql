-- Moving changes, settling conflicts, taking changes back (pushpull.c, resolve.c,
-- resolvemany.c, discard.c).

CREATE TYPE diagsync.sync_result AS (
	success boolean,
	documents_updated integer,
	inserted integer,
	updated integer,
	deleted integer,
	merged integer,
	resolved integer,
	conflicts integer,
	public_version bigint,
	plan text,
	refused_deletions integer,
	included text[],
	refused jsonb
);
COMMENT ON TYPE diagsync.sync_result IS
'what a push or pull did, or with dry_run would do';
COMMENT ON COLUMN diagsync.sync_result.success IS 'no conflict is left, the expected plan (if one was given) was carried out, and no deletions were refused';
COMMENT ON COLUMN diagsync.sync_result.documents_updated IS 'entities written: in the shared copy by a push, in the local one by a pull; inserted + updated + deleted';
COMMENT ON COLUMN diagsync.sync_result.inserted IS 'entities inserted there';
COMMENT ON COLUMN diagsync.sync_result.updated IS 'entities updated there';
COMMENT ON COLUMN diagsync.sync_result.deleted IS 'entities deleted there';
COMMENT ON COLUMN diagsync.sync_result.merged IS 'entities merged property by property, also where a conflict was settled by path';
COMMENT ON COLUMN diagsync.sync_result.resolved IS 'conflicts settled by on_conflict';
COMMENT ON COLUMN diagsync.sync_result.conflicts IS 'conflicts left';
COMMENT ON COLUMN diagsync.sync_result.public_version IS 'greatest revision of the shared copy now';
COMMENT ON COLUMN diagsync.sync_result.plan IS 'with dry_run or expected_plan: a digest of what the call does, to be given as expected_plan';
COMMENT ON COLUMN diagsync.sync_result.refused_deletions IS 'how many deletions were refused, because they are too large a part of the copy; nothing is written then. allow_deletions allows them, and so does the plan of a dry run that showed them';
COMMENT ON COLUMN diagsync.sync_result.included IS 'with entities: the others that have to go along with them, since they refer to each other';
COMMENT ON COLUMN diagsync.sync_result.refused IS 'null, or the entities that an end does not take (a constraint, a trigger, a limit), the first hundred: an array of {"id", "conflict": "refused", "sqlstate", "reason"}. They count in conflicts';

CREATE FUNCTION diagsync.push(
		local text,
		public text DEFAULT NULL,
		on_conflict text DEFAULT 'abort',
		dry_run boolean DEFAULT false,
		expected_plan text DEFAULT NULL,
		allow_deletions boolean DEFAULT false,
		entities text[] DEFAULT NULL) RETURNS diagsync.sync_result
	AS 'MODULE_PATHNAME', 'diagsync_push'
	LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION diagsync.push(text, text, text, boolean, text, boolean, text[]) IS
'send the local changes to the shared copy; on_conflict: abort, skip, local, public, both or newest. Deletions of more than diagsync.max_deleted_fraction of it need allow_deletions or the expected_plan. entities: only these, and what has to go along';

CREATE FUNCTION diagsync.pull(
		local text,
		public text DEFAULT NULL,
		on_conflict text DEFAULT 'abort',
		dry_run boolean DEFAULT false,
		expected_plan text DEFAULT NULL,
		allow_deletions boolean DEFAULT false,
		entities text[] DEFAULT NULL) RETURNS diagsync.sync_result
	AS 'MODULE_PATHNAME', 'diagsync_pull'
	LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION diagsync.pull(text, text, text, boolean, text, boolean, text[]) IS
'take the changes of the shared copy into the local one; on_conflict: abort, skip, local, public, both or newest. Deletions of more than diagsync.max_deleted_fraction of it need allow_deletions or the expected_plan. entities: only these, and what has to go along';

CREATE TYPE diagsync.sync_preview AS (
	result diagsync.sync_result,
	entities json,
	more boolean
);
COMMENT ON TYPE diagsync.sync_preview IS
'what a push or pull would do with each entity, a page of it';
COMMENT ON COLUMN diagsync.sync_preview.result IS 'what the call would return with dry_run, its plan included';
COMMENT ON COLUMN diagsync.sync_preview.entities IS 'an array of {"id", "local", "public", "conflict", "paths", "resolved", "merged", "before", "after"}: what would be done with the entity in either copy (insert, update, delete or null), its conflict, and its document before and after in the copy that the call is about';
COMMENT ON COLUMN diagsync.sync_preview.more IS 'whether there are more after these';

CREATE FUNCTION diagsync.preview_push(
		local text,
		public text DEFAULT NULL,
		on_conflict text DEFAULT 'abort',
		first integer DEFAULT 0,
		max integer DEFAULT 100,
		allow_deletions boolean DEFAULT false,
		entities text[] DEFAULT NULL) RETURNS diagsync.sync_preview
	AS 'MODULE_PATHNAME', 'diagsync_preview_push'
	LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION diagsync.preview_push(text, text, text, integer, integer, boolean, text[]) IS
'a dry run of diagsync.push() that also says what it would do with each entity: up to max (1000 at most) of them, after the first so many';

CREATE FUNCTION diagsync.preview_pull(
		local text,
		public text DEFAULT NULL,
		on_conflict text DEFAULT 'abort',
		first integer DEFAULT 0,
		max integer DEFAULT 100,
		allow_deletions boolean DEFAULT false,
		entities text[] DEFAULT NULL) RETURNS diagsync.sync_preview
	AS 'MODULE_PATHNAME', 'diagsync_preview_pull'
	LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION diagsync.preview_pull(text, text, text, integer, integer, boolean, text[]) IS
'a dry run of diagsync.pull() that also says what it would do with each entity: up to max (1000 at most) of them, after the first so many';

CREATE FUNCTION diagsync.discard(
		local text,
		entities text[],
		allow_deletions boolean DEFAULT false) RETURNS diagsync.sync_result
	AS 'MODULE_PATHNAME', 'diagsync_discard'
	LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION diagsync.discard(text, text[], boolean) IS
'take the local changes of these entities back (null: of all): what was deleted is there again, what was inserted is gone, what was edited is as it was. What the shared copy did meanwhile is left for a pull';

CREATE FUNCTION diagsync.resolve(
		local text,
		entity_id text,
		resolution text,
		doc jsonb DEFAULT NULL,
		expected text DEFAULT NULL) RETURNS diagsync.change
	AS 'MODULE_PATHNAME', 'diagsync_resolve'
	LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION diagsync.resolve(text, text, text, jsonb, text) IS
'settle one conflict: local, public, both, newest, or merged (with the document to keep); under granularity property the side that wins by local, public or newest wins the paths in conflict, and all else merges; returns the entity as it is afterwards (for both: the one under the new id)';

CREATE TYPE diagsync.resolve_result AS (
	entity_id text,
	outcome text,
	conflict text,
	copy_id text,
	version text,
	refused_deletions integer
);
COMMENT ON TYPE diagsync.resolve_result IS
'what has become of an entity whose conflict was to be settled';
COMMENT ON COLUMN diagsync.resolve_result.entity_id IS 'the entity';
COMMENT ON COLUMN diagsync.resolve_result.outcome IS 'resolved, no_conflict (it has none, or none any more), changed (it is not the expected version, and was left alone), no_entity (there is none of that id), left_out (it was named, but is none of the kinds or paths, or in a ring of references that is not settled), kept_out (a trigger of an application did not let it be stored), or refused (too many deletions: nothing is written)';
COMMENT ON COLUMN diagsync.resolve_result.conflict IS 'the kind of conflict that is left, or null';
COMMENT ON COLUMN diagsync.resolve_result.copy_id IS 'with both: the new id of the local version, where there are two now';
COMMENT ON COLUMN diagsync.resolve_result.version IS 'where a conflict is left: what to give as "expected" next';
COMMENT ON COLUMN diagsync.resolve_result.refused_deletions IS 'how many deletions were refused in all, because they are too large a part of the copy; nothing is written then. allow_deletions allows them';

CREATE FUNCTION diagsync.resolve_all(
		local text,
		resolution text,
		kinds text[] DEFAULT NULL,
		paths text[] DEFAULT NULL,
		entities text[] DEFAULT NULL,
		allow_deletions boolean DEFAULT false) RETURNS SETOF diagsync.resolve_result
	AS 'MODULE_PATHNAME', 'diagsync_resolve_all'
	LANGUAGE C VOLATILE PARALLEL UNSAFE COST 1000;
COMMENT ON FUNCTION diagsync.resolve_all(text, text, text[], text[], text[], boolean) IS
'settle all conflicts by one rule, local, public, both or newest; or only those of some kinds, those that lie within some paths (JSON Pointers, * for any key), or those of some entities. Returns what has become of each, ordered by id. Deletions of more than diagsync.max_deleted_fraction of the local copy need allow_deletions, or the entities named';

CREATE FUNCTION diagsync.resolve_many(local text, choices jsonb) RETURNS SETOF diagsync.resolve_result
	AS 'MODULE_PATHNAME', 'diagsync_resolve_many'
	LANGUAGE C VOLATILE PARALLEL UNSAFE COST 1000;
COMMENT ON FUNCTION diagsync.resolve_many(text, jsonb) IS
'settle many conflicts in one call, each by its own choice: an array of {"entity_id", "resolution", "expected", "doc"}, each entity once. Returns what has become of each, ordered by id';
