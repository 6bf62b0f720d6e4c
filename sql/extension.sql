-- DROP EXTENSION leaves nothing, and CREATE EXTENSION in the same session works
-- as if for the first time: plans that the session has cached must survive it.
\pset null '-'
\set VERBOSITY terse
SET client_min_messages = warning;

-- Use everything once, so that it is cached.
CREATE FUNCTION use_it(round int) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	r text;
BEGIN
	PERFORM diagsync.create_diagram('L', id => 'l');
	PERFORM diagsync.put('l', '[{"id": "a", "v": 1}, {"id": "b", "v": 1}, {"id": "c", "v": 1}]');
	PERFORM diagsync.share('l', 'p'), diagsync.clone('p', 'l2');
	UPDATE diagsync_local.entity SET doc = '{"v": 2}' WHERE diagram_id = 'l' AND id = 'a';
	DELETE FROM diagsync_public.entity WHERE diagram_id = 'p' AND id = 'b';
	UPDATE diagsync_public.entity SET doc = '{"v": 3}' WHERE diagram_id = 'p' AND id = 'a';
	INSERT INTO diagsync_local.entity (diagram_id, id, doc) VALUES ('l', 'd', '{"v": 2}');
	SELECT string_agg(entity_id || '=' || coalesce(conflict, side), ' ') INTO r FROM diagsync.changes('l');
	PERFORM diagsync.resolve('l', 'a', 'both');
	PERFORM diagsync.pull('l'), diagsync.push('l'), diagsync.pull('l2'), diagsync.refresh('l2');
	PERFORM diagsync.remove('l', '{c}'), diagsync.push('l', on_conflict => 'newest'), diagsync.prune();
	PERFORM diagsync.set_storage_type('p', 'private'), diagsync.pull('l2');
	SELECT r || ', ' || string_agg(local_id || ' ' || state, ', ') INTO r FROM diagsync.status_all();
	PERFORM diagsync.unlink('l'), diagsync.link('l', 'p');
	SELECT r || ', ' || state INTO r FROM diagsync.status('l');
	PERFORM diagsync.drop_diagram('l2');
	RETURN format('%s. %s', round, r);
END $$;
SELECT use_it(1);

DROP EXTENSION diagsync;
SELECT nspname FROM pg_namespace WHERE nspname LIKE 'diagsync%';
SELECT proname FROM pg_proc WHERE probin LIKE '%diagsync%';
SELECT relname FROM pg_class WHERE relnamespace::regnamespace::text LIKE 'diagsync%';
SELECT typname FROM pg_type WHERE typnamespace::regnamespace::text LIKE 'diagsync%';
SELECT count(*) FROM pg_depend WHERE refclassid = 'pg_extension'::regclass AND refobjid NOT IN (SELECT oid FROM pg_extension);
SELECT count(*) FROM pg_description WHERE description LIKE '%diagsync%' AND classoid <> 'pg_extension'::regclass;
SELECT diagsync.status('l');

CREATE EXTENSION diagsync;
SELECT count(*) FROM diagsync.directory;
SELECT use_it(2);

-- In a transaction, and taken back.
BEGIN;
DROP EXTENSION diagsync;
ROLLBACK;
SELECT id, storage_type, public_copy_id FROM diagsync.directory ORDER BY id;
SELECT count(*) > 0 AS entities FROM diagsync.entity;
BEGIN;
DROP EXTENSION diagsync;
CREATE EXTENSION diagsync;
SELECT use_it(3);
SAVEPOINT s;
DROP EXTENSION diagsync;
ROLLBACK TO s;
SELECT diagsync.drop_diagram(id) FROM diagsync.directory ORDER BY id;
SELECT use_it(4);
ROLLBACK;
SELECT diagsync.drop_diagram(id) FROM diagsync.directory ORDER BY id;
SELECT use_it(5);

-- It asks for its schemas: they must not be there, nor can they go alone.
DROP SCHEMA diagsync_local CASCADE;
DROP TABLE diagsync_local.base;
DROP EXTENSION diagsync;
CREATE SCHEMA diagsync_public;
CREATE EXTENSION diagsync;
DROP SCHEMA diagsync_public;
CREATE EXTENSION diagsync;
SELECT use_it(6);

-- As it was.
SELECT diagsync.drop_diagram(id) FROM diagsync.directory ORDER BY id;
DROP FUNCTION use_it;
