-- What a sync updates and deletes without SQL: indexes of applications, large
-- documents, and what has to be left to SQL.
BEGIN;
\ir ../../common/pgtap/helpers.sql
CREATE EXTENSION amcheck;
CREATE ROLE direct_user;
SELECT diagsync.grant_usage('direct_user');
GRANT USAGE ON SCHEMA t TO direct_user;
SET client_min_messages = error;
SELECT plan(38);

CREATE FUNCTION t.far(wanted text) RETURNS jsonb LANGUAGE sql AS $$
	SELECT doc FROM diagsync_public.entity WHERE diagram_id = 'p' AND id = wanted $$;
CREATE FUNCTION t.near(wanted text) RETURNS jsonb LANGUAGE sql AS $$
	SELECT doc FROM diagsync_local.entity WHERE diagram_id = 'l' AND id = wanted $$;

---- A trigger that edits what the sync is about to update ----------------------

SELECT t.pair('l', 'p', '{"a": {"x": 1, "y": 1}, "b": {"x": 1, "y": 1}, "c": {"x": 1}}');
SELECT diagsync.set_merge_policy('l', '{"granularity": "property"}');
SELECT diagsync.refresh('l');
CREATE FUNCTION t.edit_b() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN
	IF pg_trigger_depth() = 1 THEN
		UPDATE diagsync_public.entity SET doc = doc || '{"note": 1}' WHERE diagram_id = 'p' AND id = 'b';
	END IF;
	RETURN NULL; END$$;

SELECT t.write('l', 'a', '{"x": 2, "y": 1}'), t.write('l', 'b', '{"x": 2, "y": 1}');
SELECT t.write('p', 'a', '{"x": 1, "y": 2}');
CREATE TRIGGER app AFTER UPDATE ON diagsync_local.entity FOR EACH STATEMENT EXECUTE FUNCTION t.edit_b();
SELECT lives_ok($$ SELECT diagsync.push('l') $$, 'a push whose merge fires a local trigger that edits the shared copy');
DROP TRIGGER app ON diagsync_local.entity;
SELECT is(t.far('b'), '{"x": 1, "y": 1, "note": 1}', 'what the trigger wrote is left alone');
SELECT is(t.status('l'), 'pending 1/1/0', 'and both edits are still to be synced');
SELECT diagsync.push('l'), diagsync.pull('l');
SELECT is(t.near('b'), '{"x": 2, "y": 1, "note": 1}', 'as the next syncs do');
SELECT is(t.status('l'), 'in_sync 0/0/0', 'all of it');

SELECT t.write('l', 'b', t.near('b') || '{"x": 3}'), t.write('l', 'c', NULL);
CREATE TRIGGER app AFTER INSERT ON diagsync_public.tombstone FOR EACH STATEMENT EXECUTE FUNCTION t.edit_b();
UPDATE diagsync_public.entity SET doc = doc || '{"note": 0}' WHERE diagram_id = 'p' AND id = 'b';
SELECT lives_ok($$ SELECT diagsync.push('l') $$, 'one whose deletion fires a trigger of the tombstones that edits an entity');
DROP TRIGGER app ON diagsync_public.tombstone;
SELECT diagsync.push('l'), diagsync.pull('l');
SELECT is(t.near('b'), '{"x": 3, "y": 1, "note": 1}', 'both edits come together');
SELECT is(t.status('l'), 'in_sync 0/0/0', 'nothing is left');

SELECT t.write('l', 'a', '{"x": 3}'), t.write('p', 'a', '{"x": 4}'), t.write('l', 'b', '{"x": 3}');
CREATE FUNCTION t.delete_b() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN
	DELETE FROM diagsync_local.entity WHERE diagram_id = 'l' AND id = 'b'; RETURN NULL; END$$;
CREATE TRIGGER app AFTER INSERT ON diagsync_local.entity FOR EACH STATEMENT EXECUTE FUNCTION t.delete_b();
SELECT throws_ok($$ SELECT diagsync.push('l', on_conflict => 'both') $$, '27000', NULL,
	'where a copy fires a trigger that edits what is synced along, that is said, not tried for ever');
DROP TRIGGER app ON diagsync_local.entity;
SELECT is((SELECT success FROM diagsync.push('l', on_conflict => 'both')), true, 'without it all goes well');

---- Replication ----------------------------------------------------------------

CREATE PUBLICATION direct FOR TABLE diagsync_public.entity;
ALTER TABLE diagsync_public.entity REPLICA IDENTITY NOTHING;
SELECT t.write('l', 'b', '{"x": 15}');
SELECT throws_ok($$ SELECT diagsync.push('l') $$, '55000', NULL, 'an update that could not be published is refused');
SELECT t.make('copied', '{"a": {"x": 1}}');
SELECT lives_ok($$ SELECT diagsync.share('copied', 'copied-p') $$, '... inserts can be');
SELECT is(t.docs('copied-p'), '{"a": {"x": 1}}', '... as a share makes them');
ALTER TABLE diagsync_public.entity REPLICA IDENTITY FULL;
SELECT lives_ok($$ SELECT diagsync.push('l') $$, 'one that can be is not');
ALTER TABLE diagsync_public.entity REPLICA IDENTITY DEFAULT;
DROP PUBLICATION direct;

---- Indexes and large documents ------------------------------------------------

CREATE FUNCTION t.size(doc jsonb) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$BEGIN RETURN length(doc::text); END$$;
REVOKE ALL ON FUNCTION t.size FROM PUBLIC;
CREATE INDEX by_size ON diagsync_public.entity (t.size(doc));
CREATE INDEX by_value ON diagsync_public.entity ((doc->>'v')) WHERE (doc->>'v')::int > 5;
CREATE INDEX by_time ON diagsync_public.entity USING brin (modified_at);
CREATE INDEX by_doc ON diagsync_public.entity USING gin (doc);
CREATE INDEX by_size_here ON diagsync_local.entity (t.size(doc));
CREATE INDEX by_time_here ON diagsync_local.entity USING brin (modified_at);

-- Small, compressed, out of line; ids that are long.
CREATE FUNCTION t.doc(n int, v int) RETURNS jsonb LANGUAGE sql AS $$
	SELECT jsonb_build_object('v', v, 'text', CASE n % 3 WHEN 0 THEN n::text WHEN 1 THEN repeat('text', 2000)
		ELSE (SELECT string_agg(md5((n * v * i)::text), '') FROM generate_series(1, 400) AS i) END) $$;
CREATE FUNCTION t.entity(n int) RETURNS text IMMUTABLE LANGUAGE sql AS $$
	SELECT CASE WHEN n % 2 = 0 THEN n::text ELSE n || repeat('ö', 380) END $$;
SELECT diagsync.create_diagram('Many', id => 'many');
INSERT INTO diagsync_local.entity (diagram_id, id, doc) SELECT 'many', t.entity(n), t.doc(n, 1) FROM generate_series(1, 300) AS n;
SELECT diagsync.share('many', 'far'), diagsync.clone('far', 'too');
UPDATE diagsync.directory SET owner = 'role:direct_user' WHERE id = 'many';
DO $$BEGIN
	FOR v IN 2..8 LOOP
		UPDATE diagsync_local.entity SET doc = doc || jsonb_build_object('v', v) WHERE diagram_id = 'many';
		SET LOCAL ROLE direct_user;
		ASSERT (SELECT updated = 300 AND success FROM diagsync.push('many'));
		RESET ROLE;
		ASSERT (SELECT updated = 300 AND success FROM diagsync.pull('too'));
	END LOOP;
END$$;
SELECT is((SELECT count(*) FROM diagsync_public.entity AS a JOIN diagsync_local.entity AS b USING (id)
	WHERE a.diagram_id = 'far' AND b.diagram_id = 'too' AND a.doc = b.doc AND a.doc->>'v' = '8'
	AND b.doc->>'text' = t.doc(CASE WHEN id LIKE '%ö%' THEN split_part(id, 'ö', 1) ELSE id END::int, 1)->>'text'), 300::bigint,
	'300 entities, large ones too, seven times there and back, by somebody who may not call what an index calls');
SELECT lives_ok(format('SELECT bt_index_parent_check(%L, true)', indexrelid::regclass), indexrelid::regclass::text || ' is sound and whole')
  FROM pg_index JOIN pg_class ON oid = indexrelid JOIN pg_am AS am ON am.oid = relam
 WHERE amname = 'btree' AND indrelid IN ('diagsync_local.entity'::regclass, 'diagsync_local.base'::regclass, 'diagsync_public.entity'::regclass)
 ORDER BY indexrelid::regclass::text COLLATE "C";
SET LOCAL enable_seqscan = off;
SELECT is((SELECT count(*) FROM diagsync_public.entity WHERE doc @> '{"v": 8}' AND diagram_id = 'far'), 300::bigint, 'so is a GIN index');
SET LOCAL enable_indexscan = off;
SELECT is((SELECT count(*) FROM diagsync_public.entity WHERE modified_at BETWEEN now() AND clock_timestamp() AND diagram_id = 'far'), 300::bigint, 'and a BRIN index');

RESET enable_seqscan;
RESET enable_indexscan;

---- What an index calls, and rules ------------------------------------------

CREATE FUNCTION t.note_path(jsonb) RETURNS jsonb IMMUTABLE LANGUAGE plpgsql AS $$BEGIN
	PERFORM set_config('t.path', current_setting('search_path'), false); RETURN $1; END$$;
CREATE INDEX noted ON diagsync_public.entity (t.note_path(doc -> 'x'));
SET LOCAL search_path = t, public;
SELECT t.write('l', 'b', '{"x": 11}');
SELECT diagsync.push('l');
SELECT is(current_setting('t.path'), 'pg_catalog, pg_temp', 'what the expression of an index calls finds no names of the caller''s');
RESET search_path;
DROP INDEX diagsync_public.noted;
CREATE TABLE t.ruled (id text);
CREATE RULE app AS ON UPDATE TO diagsync_public.entity DO ALSO INSERT INTO t.ruled VALUES (new.id);
SELECT t.write('l', 'b', '{"x": 12}');
SELECT diagsync.push('l');
SELECT is((SELECT string_agg(id, ' ') FROM t.ruled), 'b', 'a rule acts on what a push updates');
DROP RULE app ON diagsync_public.entity;

---- Things that look like diagsync's own -------------------------------------

-- Without anything added, rows are written without SQL, and no trigger fires.
SET LOCAL track_functions = 'all';
SELECT t.write('l', 'b', '{"x": 20}');
SELECT count(*) FROM diagsync.status('l');
SELECT coalesce(sum(calls), 0) AS calls FROM pg_stat_xact_user_functions WHERE funcname = 'stamp_entity' \gset
SELECT diagsync.push('l');
SELECT is((SELECT coalesce(sum(calls), 0) FROM pg_stat_xact_user_functions WHERE funcname = 'stamp_entity'), :calls::numeric, 'a push updates without triggers');
SET LOCAL track_functions = 'none';

CREATE TABLE t.fired (op text);
CREATE FUNCTION diagsync.audit() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN INSERT INTO t.fired VALUES (TG_OP); RETURN NEW; END$$;
CREATE TRIGGER audit AFTER UPDATE ON diagsync_public.entity FOR EACH ROW EXECUTE FUNCTION diagsync.audit();
SELECT t.write('l', 'b', '{"x": 21}');
SELECT diagsync.push('l');
SELECT is((SELECT string_agg(op, ' ') FROM t.fired), 'UPDATE', 'a trigger fires whose function was put into our schema');
DROP TRIGGER audit ON diagsync_public.entity;
DROP FUNCTION diagsync.audit;

CREATE FUNCTION t.note_fired() RETURNS boolean LANGUAGE plpgsql AS $$BEGIN INSERT INTO t.fired VALUES ('WHEN'); RETURN false; END$$;
CREATE TRIGGER app BEFORE UPDATE ON diagsync_public.entity FOR EACH ROW WHEN (t.note_fired()) EXECUTE FUNCTION diagsync.stamp_entity();
SELECT t.write('l', 'b', '{"x": 22}');
SELECT diagsync.push('l');
SELECT is((SELECT string_agg(op, ' ') FROM t.fired), 'UPDATE WHEN', 'so does the condition of a trigger with a function of ours');
DROP TRIGGER app ON diagsync_public.entity;

SAVEPOINT s;
ALTER TABLE diagsync_local.entity DROP CONSTRAINT entity_id_length, ADD CONSTRAINT entity_id_length CHECK (length(id) BETWEEN 1 AND 390);
SELECT t.write('p', repeat('x', 395), '{}');
SELECT is((diagsync.pull('l')).refused->0->>'sqlstate', '23514', 'a CHECK of ours that was made stricter is kept by a pull');
SELECT throws_ok($$ SELECT diagsync.clone('p') $$, '23514', NULL, '... and by a clone');
ROLLBACK TO s;
ALTER TABLE diagsync_local.base ALTER COLUMN doc SET NOT NULL;
SELECT diagsync.create_diagram('N', id => 'n'), diagsync.put('n', '[{"id": "a"}]'), diagsync.share('n', 'np');
SELECT throws_ok($$ INSERT INTO diagsync_local.entity (diagram_id, id, doc) SELECT 'n', i::text, '{}' FROM generate_series(1, 300) AS i $$, '23502', NULL,
	'a column made NOT NULL is kept by base rows in bulk');
ROLLBACK TO s;
CREATE DOMAIN t.short AS text COLLATE "C" CHECK (length(VALUE) < 390);
ALTER TABLE diagsync_local.base ALTER COLUMN id TYPE t.short;
SELECT diagsync.create_diagram('N', id => 'n'), diagsync.put('n', '[{"id": "a"}]'), diagsync.share('n', 'np');
SELECT throws_ok($$ INSERT INTO diagsync_local.entity (diagram_id, id, doc) SELECT 'n', i || repeat('x', 390), '{}' FROM generate_series(1, 300) AS i $$, '23514', NULL,
	'so is the constraint of a type that a column was given');
ROLLBACK TO s;
SELECT lives_ok($$ SELECT diagsync.clone('p', 'free') $$, 'without these all is well');

---- Constraints, and columns (after which SQL writes for good) -------------

ALTER TABLE diagsync_public.entity DROP CONSTRAINT entity_id_length, ADD CONSTRAINT small CHECK (doc->>'x' <> '13');
SELECT t.write('l', 'b', '{"x": 13}');
SELECT is((diagsync.push('l')).refused->0->>'sqlstate', '23514', 'a constraint that has taken the place of one of ours is checked');
ALTER TABLE diagsync_public.entity DROP CONSTRAINT small, ADD CONSTRAINT entity_id_length CHECK (length(id) BETWEEN 1 AND 400);
ALTER TABLE diagsync_public.entity ADD COLUMN x text GENERATED ALWAYS AS (doc->>'x') STORED;
SELECT diagsync.push('l');
SELECT is((SELECT x FROM diagsync_public.entity WHERE diagram_id = 'p' AND id = 'b'), '13', 'a generated column is computed');
ALTER TABLE diagsync_public.entity DROP COLUMN x;
ALTER TABLE diagsync_public.entity ADD COLUMN note text;
UPDATE diagsync_public.entity SET note = 'kept' WHERE diagram_id = 'p' AND id = 'b';
SELECT t.write('l', 'b', '{"x": 15}');
SELECT diagsync.push('l');
SELECT is((SELECT doc->>'x' || ' ' || note FROM diagsync_public.entity WHERE diagram_id = 'p' AND id = 'b'), '15 kept', 'a column of an application is left alone');
ALTER TABLE diagsync_public.entity DROP COLUMN note;
CREATE TABLE t.label (diagram_id text, id text, FOREIGN KEY (diagram_id, id) REFERENCES diagsync_public.entity ON DELETE CASCADE);
INSERT INTO t.label VALUES ('p', 'a'), ('p', 'b');
SELECT t.write('l', 'a', NULL), t.write('l', 'b', '{"x": 14}');
SELECT diagsync.push('l');
SELECT is((SELECT string_agg(id, ' ') FROM t.label), 'b', 'a foreign key of an application is kept');
DROP TABLE t.label;

SELECT * FROM finish();
ROLLBACK;
