-- The directory of diagrams, and who and what stamps a row (directory.c,
-- principal.c).

CREATE FUNCTION diagsync.principal() RETURNS text
	AS 'MODULE_PATHNAME', 'diagsync_principal'
	LANGUAGE C STABLE PARALLEL RESTRICTED;
COMMENT ON FUNCTION diagsync.principal() IS
'who is asking, as noted in owner, modified_by and deleted_by: role:NAME of the role in force, or sub:VALUE of the claim "sub" in sessions of diagsync.trusted_authenticators';

CREATE FUNCTION diagsync.revision() RETURNS bigint
	AS 'MODULE_PATHNAME', 'diagsync_revision'
	LANGUAGE C STABLE PARALLEL UNSAFE;
COMMENT ON FUNCTION diagsync.revision() IS
'the revision that this transaction gives what it writes: its 64-bit transaction id';

CREATE FUNCTION diagsync.edit_time() RETURNS timestamptz
	AS 'MODULE_PATHNAME', 'diagsync_edit_time'
	LANGUAGE C STABLE PARALLEL RESTRICTED;
COMMENT ON FUNCTION diagsync.edit_time() IS
'the time of an edit: when its statement began, by the clock; the default of modified_at';

CREATE TABLE diagsync.directory (
	id text COLLATE "C" NOT NULL,
	name text NOT NULL,
	description text,
	storage_type text,
	owner text NOT NULL DEFAULT diagsync.principal(),
	created_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
	public_copy_id text COLLATE "C",
	last_pushed_at timestamptz,
	last_pulled_at timestamptz,
	public_version bigint,
	merge_policy jsonb,
	seen pg_snapshot,
	seen_own bigint,
	seen_on text,
	compare_in_full boolean NOT NULL DEFAULT false,
	seen_policy jsonb,
	max_entities integer,
	max_size bigint,
	feed_start bigint,
	feed_pruned bigint,
	seen_at timestamptz,
	CONSTRAINT directory_pkey PRIMARY KEY (id),
	CONSTRAINT directory_id_length CHECK (length(id) BETWEEN 1 AND 255),
	CONSTRAINT directory_name_length CHECK (length(name) <= 1000),
	CONSTRAINT directory_description_length CHECK (length(description) <= 10000),
	CONSTRAINT directory_owner_length CHECK (length(owner) <= 260),
	CONSTRAINT directory_storage_type CHECK (storage_type IN ('local', 'public', 'private')),
	CONSTRAINT directory_link_of_local
		CHECK (public_copy_id IS NULL OR storage_type IS NOT DISTINCT FROM 'local'),
	CONSTRAINT directory_limits CHECK (max_entities > 0 AND max_size > 0),
	CONSTRAINT directory_link_to_other CHECK (public_copy_id <> id)
);
CREATE INDEX directory_owner ON diagsync.directory (owner, created_at);
CREATE INDEX directory_public_copy_id ON diagsync.directory (public_copy_id, id)
	WHERE public_copy_id IS NOT NULL;
CREATE INDEX directory_owner_linked ON diagsync.directory (owner, id)
	WHERE public_copy_id IS NOT NULL;

COMMENT ON TABLE diagsync.directory IS
'every diagram, and for a local one its link to the shared copy that it pushes to and pulls from';
COMMENT ON COLUMN diagsync.directory.id IS
'the diagram''s id: any text of 1 to 255 characters that the application chooses, or a generated uuid';
COMMENT ON COLUMN diagsync.directory.name IS
'the name that people see';
COMMENT ON COLUMN diagsync.directory.description IS
'what the diagram is about, or null';
COMMENT ON COLUMN diagsync.directory.storage_type IS
'local, public or private; null for a diagram from before storage types existed. Such a diagram behaves as public, and cannot be synced until diagsync.set_storage_type() gives it one';
COMMENT ON COLUMN diagsync.directory.owner IS
'the principal who owns it; diagsync.set_owner() gives it to another';
COMMENT ON COLUMN diagsync.directory.created_at IS
'when the entry was made';
COMMENT ON COLUMN diagsync.directory.public_copy_id IS
'the link: id of the public or private diagram that this local one syncs with, or null';
COMMENT ON COLUMN diagsync.directory.last_pushed_at IS
'when the link last pushed (sharing counts), even if nothing had changed';
COMMENT ON COLUMN diagsync.directory.last_pulled_at IS
'when the link last pulled (cloning counts), even if nothing had changed';
COMMENT ON COLUMN diagsync.directory.public_version IS
'the greatest revision of the shared copy at the last sync; to be shown, not to be relied on as an ETag: a lower one can commit later';
COMMENT ON COLUMN diagsync.directory.merge_policy IS
'what counts as a change and as a conflict, and what merges; null is the default: two edits of the same entity conflict. Set with diagsync.set_merge_policy()';
COMMENT ON COLUMN diagsync.directory.seen IS
'state of the link: the snapshot under which it last read its shared copy; null compares in full, and a missing shared row counts as deleted';
COMMENT ON COLUMN diagsync.directory.seen_own IS
'state of the link: the revision that its own last sync wrote, which it does not compare again';
COMMENT ON COLUMN diagsync.directory.seen_on IS
'state of the link: system identifier and timeline of the cluster on which "seen" means something, or - where it means nothing here; null until a restored link has synced';
COMMENT ON COLUMN diagsync.directory.compare_in_full IS
'state of the link: whether it compares in full until the next sync, though "seen" holds, because its merge policy has changed';
COMMENT ON COLUMN diagsync.directory.seen_policy IS
'state of the link: with compare_in_full, the merge policy by which it has seen its shared copy';
COMMENT ON COLUMN diagsync.directory.max_entities IS
'how many entities its owner allows it, or null; diagsync.set_limits() sets it, diagsync.max_entities may be less';
COMMENT ON COLUMN diagsync.directory.max_size IS
'how many bytes its owner allows its entities, or null; diagsync.set_limits() sets it, diagsync.max_diagram_size may be less';
COMMENT ON COLUMN diagsync.directory.feed_start IS
'state of diagsync.changes_since(): the transaction since when marks of this diagram are valid; null for never interrupted';
COMMENT ON COLUMN diagsync.directory.feed_pruned IS
'bookkeeping of diagsync.changes_since(): the greatest revision of a tombstone that diagsync.prune() has dropped; a mark that has not seen all up to it is no longer valid';
COMMENT ON COLUMN diagsync.directory.seen_at IS
'bookkeeping of the link: when "seen" last moved; null if the last push or pull moved it. A sync of chosen entities does not, nor does a push that leaves public changes';

CREATE FUNCTION diagsync.create_diagram(
		name text,
		storage_type text DEFAULT 'local',
		id text DEFAULT NULL,
		description text DEFAULT NULL) RETURNS text
	AS 'MODULE_PATHNAME', 'diagsync_create_diagram'
	LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION diagsync.create_diagram(text, text, text, text) IS
'make an empty diagram (storage type local, public or private) and return its id, a new uuid where none is given';

CREATE FUNCTION diagsync.drop_diagram(id text) RETURNS void
	AS 'MODULE_PATHNAME', 'diagsync_drop_diagram'
	LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION diagsync.drop_diagram(text) IS
'remove a diagram and its entities; local diagrams linked to it keep theirs and become unlinked';

CREATE FUNCTION diagsync.set_storage_type(id text, storage_type text) RETURNS void
	AS 'MODULE_PATHNAME', 'diagsync_set_storage_type'
	LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION diagsync.set_storage_type(text, text) IS
'move a shared diagram between public and private with all its links, or give a diagram without a storage type its own';

CREATE FUNCTION diagsync.guard_directory() RETURNS trigger
	AS 'MODULE_PATHNAME', 'diagsync_guard_directory'
	LANGUAGE C PARALLEL UNSAFE;
COMMENT ON FUNCTION diagsync.guard_directory() IS
'trigger of diagsync.directory: refuses changes that only functions may make, and clears "seen_on" of an entry that is inserted';

CREATE TRIGGER diagsync_guard_row
	BEFORE INSERT OR DELETE OR UPDATE OF id, name, description, storage_type, public_copy_id, merge_policy
	ON diagsync.directory FOR EACH ROW
	EXECUTE FUNCTION diagsync.guard_directory();
CREATE TRIGGER diagsync_guard_rename
	BEFORE UPDATE OF name, description ON diagsync.directory FOR EACH STATEMENT
	EXECUTE FUNCTION diagsync.guard_directory();
CREATE TRIGGER diagsync_guard_truncate
	BEFORE TRUNCATE ON diagsync.directory FOR EACH STATEMENT
	EXECUTE FUNCTION diagsync.guard_directory();
