-- A caller's search path has no say in what diagsync runs as the owner of its
-- tables: not in its own statements, not in triggers of applications that they
-- fire.

BEGIN;
SELECT plan(6);

SELECT diagsync.create_diagram('d', id => 'L');
SELECT diagsync.put('L', '[{"id": "a", "x": 1}, {"id": "b", "x": 1}, {"id": "c", "x": 1}]');

-- Operators and functions that come before those of pg_catalog, and tell.
CREATE SCHEMA hostile;
CREATE FUNCTION hostile.trap(anyelement, anyelement) RETURNS boolean LANGUAGE plpgsql AS
	$$BEGIN RAISE 'the search path was followed'; END$$;
SELECT format('CREATE FUNCTION hostile.trap(%1$s, %1$s) RETURNS boolean LANGUAGE plpgsql AS
		''BEGIN RAISE ''''the search path was followed''''; END'';
	CREATE OPERATOR hostile.%2$s (LEFTARG = %1$s, RIGHTARG = %1$s, FUNCTION = hostile.trap)', t, o)
  FROM unnest(ARRAY['integer', 'bigint', 'text', 'jsonb', 'tid', 'xid', 'timestamptz', 'boolean']) t,
       unnest(ARRAY['=', '<>', '<', '>', '>=', '<=']) o
 WHERE o = '='
UNION ALL
SELECT format('CREATE OPERATOR hostile.%2$s (LEFTARG = %1$s, RIGHTARG = %1$s, FUNCTION = hostile.trap)', t, o)
  FROM unnest(ARRAY['integer', 'bigint', 'text', 'jsonb', 'tid', 'xid', 'timestamptz', 'boolean']) t,
       unnest(ARRAY['<>', '<', '>', '>=', '<=']) o
\gexec
CREATE FUNCTION hostile.unnest(anyarray) RETURNS SETOF anyelement LANGUAGE plpgsql AS
	$$BEGIN RAISE 'the search path was followed'; END$$;
CREATE FUNCTION hostile.now() RETURNS timestamptz LANGUAGE plpgsql AS
	$$BEGIN RAISE 'the search path was followed'; END$$;

SET LOCAL search_path = hostile, pg_catalog;
SAVEPOINT trap;
\set ON_ERROR_STOP off
SELECT 1 = 1;
\set sqlstate :SQLSTATE
ROLLBACK TO trap;
\set ON_ERROR_STOP on

SELECT diagsync.share('L', 'P');
SELECT diagsync.clone('P', 'M');
SELECT diagsync.clone('P', 'N');
SELECT diagsync.put('L', '[{"id": "a", "x": 2}, {"id": "d", "x": 2}]');
SELECT diagsync.remove('L', '{b}');
SELECT diagsync.put('M', '[{"id": "a", "x": 3}, {"id": "c", "x": 3}]');
SELECT diagsync.put('N', '[{"id": "a", "x": 4}, {"id": "b", "x": 4}]');
SELECT * FROM diagsync.push('L', dry_run => true);
SELECT * FROM diagsync.push('L');
SELECT * FROM diagsync.status('M');
SELECT * FROM diagsync.changes('M');
SELECT * FROM diagsync.conflicts('M');
SELECT * FROM diagsync.pull('M', on_conflict => 'skip');
SELECT * FROM diagsync.resolve('M', 'a', 'both');
SELECT * FROM diagsync.push('M', on_conflict => 'newest');
SELECT * FROM diagsync.refresh('N');
SELECT * FROM diagsync.resolve('N', 'b', 'local');
SELECT * FROM diagsync.push('N', on_conflict => 'local');
SELECT * FROM diagsync.pull('L', on_conflict => 'public');
SELECT * FROM diagsync.status_all();
SELECT diagsync.unlink('L');
SELECT diagsync.link('L', 'P');
SELECT diagsync.set_storage_type('P', 'private');
SELECT diagsync.prune();
SELECT diagsync.prune('0');
SELECT diagsync.create_diagram('e', 'public', 'E');
SELECT diagsync.put('E', '[{"id": "a"}]');
SELECT diagsync.remove('E', '{a}');
SELECT diagsync.drop_diagram('E');
INSERT INTO diagsync_local.entity (diagram_id, id, doc) VALUES ('L', 'e', '{}');
INSERT INTO diagsync_private.entity (diagram_id, id, doc) VALUES ('P', 'f', '{}');
UPDATE diagsync_local.entity SET doc = '{"x": 5}';
UPDATE diagsync_private.entity SET doc = '{"x": 5}';
DELETE FROM diagsync_local.entity;
DELETE FROM diagsync_private.entity;

RESET search_path;
SELECT is(:'sqlstate'::text, 'P0001', 'the trap works');
SELECT pass('every function and trigger goes past it');
SELECT is((SELECT count(*) FROM diagsync.status_all() WHERE state = 'in_sync'), 3::bigint,
	'and does its work: the deletions agree with what was in step');

-- A trigger that trusts the search path fires in a sync and in put().
CREATE FUNCTION public.trusting() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN
	NEW.doc := NEW.doc || jsonb_build_object('path', current_setting('search_path'), 'one', 1 = 1);
	RETURN NEW; END$$;
CREATE TRIGGER app BEFORE INSERT ON diagsync_local.entity FOR EACH ROW EXECUTE FUNCTION public.trusting();
SET LOCAL search_path = hostile, pg_catalog;
SELECT diagsync.put('L', '[{"id": "z"}]');
RESET search_path;
SELECT is((SELECT doc->>'path' FROM diagsync_local.entity WHERE diagram_id = 'L' AND id = 'z'), 'pg_catalog, pg_temp',
	'what diagsync writes fires triggers with a search path of its own');
SELECT is(current_setting('search_path'), (SELECT reset_val FROM pg_settings WHERE name = 'search_path'),
	'the caller''s is as before');

SET LOCAL search_path = hostile, pg_catalog;
SAVEPOINT trap;
\set ON_ERROR_STOP off
SELECT diagsync.put('L', '[{"id": "z"}, 5]');
\set ON_ERROR_STOP on
ROLLBACK TO trap;
SELECT pg_catalog.current_setting('search_path') AS path \gset
RESET search_path;
SELECT is(:'path'::text, 'hostile, pg_catalog', 'after an error, too');

SELECT * FROM finish();
ROLLBACK;
