-- What the pgTAP files share: short names for what they do and compare all
-- the time. Included by each of them; schema t goes with the test's database,
-- or already with its ROLLBACK.

SET client_min_messages = warning;
CREATE SCHEMA t;

-- ---- Doing -------------------------------------------------------------------

-- The entity table of a diagram.
CREATE FUNCTION t.table_of(diagram text) RETURNS text LANGUAGE sql AS $$
	SELECT 'diagsync_' || coalesce(storage_type, 'public') || '.entity'
	  FROM diagsync.directory WHERE id = diagram $$;

-- A local diagram with these entities: {"id": {document}, ...}.
CREATE FUNCTION t.make(diagram text, docs jsonb DEFAULT '{}', storage_type text DEFAULT 'local')
RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM diagsync.create_diagram('Diagram ' || diagram, storage_type, diagram);
	EXECUTE format('INSERT INTO %s (diagram_id, id, doc) SELECT %L, key, value FROM jsonb_each(%L)',
		t.table_of(diagram), diagram, docs);
	RETURN diagram;
END $$;

-- The same, shared: a local diagram and its shared copy.
CREATE FUNCTION t.pair(local text, public text, docs jsonb DEFAULT '{}', storage_type text DEFAULT 'public')
RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM t.make(local, docs);
	RETURN diagsync.share(local, public, storage_type);
END $$;

-- Write one entity with plain SQL, or delete it (a null document).
CREATE FUNCTION t.write(diagram text, entity text, document jsonb)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	IF document IS NULL OR document = 'null' THEN
		EXECUTE format('DELETE FROM %s WHERE diagram_id = $1 AND id = $2', t.table_of(diagram))
			USING diagram, entity;
	ELSE
		EXECUTE format('INSERT INTO %s (diagram_id, id, doc) VALUES ($1, $2, $3)
			ON CONFLICT (diagram_id, id) DO UPDATE SET doc = excluded.doc', t.table_of(diagram))
			USING diagram, entity, document;
	END IF;
END $$;

-- Set who edited an entity last and when, past all triggers.
CREATE FUNCTION t.edited(diagram text, entity text, at timestamptz, by text DEFAULT 'role:somebody')
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	SET LOCAL session_replication_role = replica;
	EXECUTE format('UPDATE %s SET modified_at = $3, modified_by = $4 WHERE diagram_id = $1 AND id = $2',
		t.table_of(diagram)) USING diagram, entity, at, by;
	SET LOCAL session_replication_role = origin;
END $$;

-- ---- Looking -----------------------------------------------------------------

-- The contents of a diagram: {"id": {document}, ...}.
CREATE FUNCTION t.docs(diagram text) RETURNS jsonb LANGUAGE sql AS $$
	SELECT coalesce(jsonb_object_agg(id, doc), '{}')
	  FROM diagsync.entity WHERE diagram_id = diagram $$;

-- The base rows of a local diagram: {"id": {document} or null, ...}.
CREATE FUNCTION t.base(local text) RETURNS jsonb LANGUAGE sql AS $$
	SELECT coalesce(jsonb_object_agg(id, coalesce(doc, 'null')), '{}')
	  FROM diagsync_local.base WHERE diagram_id = local $$;

-- A status as "state local/public/conflicts". (Not in SQL: inlined, it would
-- compute the status once for each of these.)
CREATE FUNCTION t.show(s diagsync.sync_status) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	IF s.state = 'unlinked' AND num_nulls(s.diverged, s.local_changes, s.public_changes, s.conflicts) = 4 THEN
		RETURN s.state;
	END IF;
	RETURN format('%s %s/%s/%s', s.state, s.local_changes, s.public_changes, s.conflicts)
		|| CASE WHEN s.diverged IS NOT DISTINCT FROM (s.local_changes > 0 OR s.public_changes > 0)
			THEN '' ELSE ', diverged is ' || coalesce(s.diverged::text, 'null') END;
END $$;
CREATE FUNCTION t.status(local text) RETURNS text LANGUAGE sql AS $$
	SELECT t.show(diagsync.status(local)) $$;

-- The figures of a push or pull as "success +inserted ~updated -deleted
-- resolved/conflicts"; what does not add up is said.
CREATE FUNCTION t.show(r diagsync.sync_result) RETURNS text LANGUAGE sql AS $$
	SELECT format('%s +%s ~%s -%s %s/%s', CASE WHEN (r).success THEN 'yes' ELSE 'no' END,
			(r).inserted, (r).updated, (r).deleted, (r).resolved, (r).conflicts)
		|| CASE WHEN (r).documents_updated = (r).inserted + (r).updated + (r).deleted
			THEN '' ELSE ', documents_updated is ' || coalesce((r).documents_updated::text, 'null') END
		|| CASE WHEN (r).merged = 0 THEN '' ELSE ', merged is ' || coalesce((r).merged::text, 'null') END $$;

-- The changes as "entity:side:local>public:conflict", by entity.
CREATE FUNCTION t.changes(local text) RETURNS text LANGUAGE sql AS $$
	SELECT coalesce(string_agg(format('%s:%s:%s>%s:%s', entity_id, side, local_change, public_change, conflict),
		' ' ORDER BY n), '')
	  FROM diagsync.changes(local) WITH ORDINALITY AS c (entity_id, side, local_change, public_change, conflict,
		paths, base, local, public, local_modified_at, local_modified_by, public_modified_at,
		public_modified_by, version, n) $$;

-- A digest of all that diagsync stores, to say that nothing changed.
CREATE FUNCTION t.state() RETURNS text LANGUAGE sql AS $$
	SELECT md5(string_agg(row, E'\n' ORDER BY row COLLATE "C")) FROM (
		SELECT 'directory ' || d::text AS row FROM diagsync.directory AS d
		UNION ALL SELECT 'entity ' || e::text FROM diagsync.entity AS e
		UNION ALL SELECT 'base ' || b::text FROM diagsync_local.base AS b
		UNION ALL SELECT 'public ' || p::text FROM diagsync_public.tombstone AS p
		UNION ALL SELECT 'private ' || p::text FROM diagsync_private.tombstone AS p) AS everything $$;

-- How a command fails: "SQLSTATE message"; null where it does not.
CREATE FUNCTION t.error(command text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE command;
	RETURN NULL;
EXCEPTION WHEN OTHERS THEN
	RETURN sqlstate || ' ' || sqlerrm;
END $$;

-- ---- Testing -----------------------------------------------------------------

-- Whether a command fails with this SQLSTATE and a message that contains this,
-- and changes nothing.
CREATE FUNCTION t.refuses(command text, errcode text, says text, description text DEFAULT NULL)
RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	before text := t.state();
	error text := t.error(command);
	good boolean := coalesce(error LIKE errcode || ' %' AND position(says IN error) > 0, false);
BEGIN
	description := coalesce(description, command);
	IF t.state() IS DISTINCT FROM before THEN
		RETURN ok(false, description) || E'\n' || diag('it changed something');
	END IF;
	RETURN ok(good, description) || CASE WHEN good THEN '' ELSE E'\n'
		|| diag('have: ' || coalesce(error, 'no error')) || E'\n'
		|| diag(format('want: %s ...%s...', errcode, says)) END;
END $$;
