-- The trigger functions called by anything but their triggers, and application
-- triggers beside ours.
BEGIN;
\ir ../../common/pgtap/helpers.sql
SET client_min_messages = error;

CREATE TABLE t.trigger_function AS
	SELECT proname FROM pg_proc WHERE pronamespace = 'diagsync'::regnamespace AND prorettype = 'trigger'::regtype ORDER BY 1;
CREATE TABLE t.foreign_table (diagram_id text, id text, doc jsonb, rev bigint, modified_at timestamptz, modified_by text);

-- Attach a trigger function to a table that is none of ours, and fire it.
CREATE FUNCTION t.misuse(f text, timing text, event text, level text, transition text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	command text := CASE event WHEN 'INSERT' THEN 'INSERT INTO t.foreign_table VALUES (''d'', ''e'', ''{}'')'
		WHEN 'UPDATE' THEN 'UPDATE t.foreign_table SET doc = ''{"v": 1}'''
		WHEN 'DELETE' THEN 'DELETE FROM t.foreign_table' ELSE 'TRUNCATE t.foreign_table' END;
	description text := format('%s as trigger %s %s FOR EACH %s%s of another table', f, timing, event, level, transition);
BEGIN
	IF event IN ('UPDATE', 'DELETE') THEN INSERT INTO t.foreign_table VALUES ('d', 'old', '{}'); END IF;
	EXECUTE format('CREATE TRIGGER misuse %s %s ON t.foreign_table %s FOR EACH %s EXECUTE FUNCTION diagsync.%I()', timing, event, transition, level, f);
	description := t.refuses(command, '39P01', 'diagsync.' || f, description);
	DROP TRIGGER misuse ON t.foreign_table;
	DELETE FROM t.foreign_table;
	RETURN description;
END $$;

CREATE TABLE t.misuse AS
	SELECT proname, timing, event, level, transition FROM t.trigger_function,
		(VALUES ('BEFORE', 'INSERT', 'ROW', ''), ('BEFORE', 'UPDATE', 'ROW', ''), ('BEFORE', 'DELETE', 'ROW', ''),
			('AFTER', 'INSERT', 'ROW', ''), ('AFTER', 'UPDATE', 'ROW', ''), ('AFTER', 'DELETE', 'ROW', ''),
			('BEFORE', 'INSERT', 'STATEMENT', ''), ('BEFORE', 'UPDATE', 'STATEMENT', ''), ('BEFORE', 'DELETE', 'STATEMENT', ''), ('BEFORE', 'TRUNCATE', 'STATEMENT', ''),
			('AFTER', 'INSERT', 'STATEMENT', 'REFERENCING NEW TABLE AS new_rows'), ('AFTER', 'UPDATE', 'STATEMENT', 'REFERENCING OLD TABLE AS old_rows'),
			('AFTER', 'UPDATE', 'STATEMENT', 'REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows'),
			('AFTER', 'DELETE', 'STATEMENT', 'REFERENCING OLD TABLE AS old_rows'), ('AFTER', 'INSERT', 'STATEMENT', ''), ('AFTER', 'TRUNCATE', 'STATEMENT', '')
		) AS v (timing, event, level, transition);

SELECT plan((SELECT count(*)::int FROM t.trigger_function) + (SELECT count(*)::int FROM t.misuse) + 27);
SELECT cmp_ok(count(*), '>=', 5::bigint, 'there are trigger functions') FROM t.trigger_function;
SELECT t.refuses(format('SELECT diagsync.%I()', proname), '39P01', 'diagsync.' || proname, proname || '() as a plain function') FROM t.trigger_function;
SELECT t.misuse(proname, timing, event, level, transition) FROM t.misuse;

-- A second trigger of ours on our own table, for the wrong event.
SELECT t.pair('l', 'p', '{"a": {"v": 1}, "b": {"v": 1}}');
SAVEPOINT s;
CREATE TRIGGER misuse AFTER INSERT ON diagsync_local.entity FOR EACH ROW EXECUTE FUNCTION diagsync.stamp_entity();
SELECT t.refuses($$ INSERT INTO diagsync_local.entity (diagram_id, id, doc) VALUES ('l', 'x', '{}') $$, '39P01', 'diagsync.stamp_entity', 'stamp_entity for the wrong event of our own table');
ROLLBACK TO s;
CREATE TRIGGER misuse AFTER INSERT ON diagsync_local.entity FOR EACH STATEMENT EXECUTE FUNCTION diagsync.capture_changes();
SELECT t.refuses($$ INSERT INTO diagsync_local.entity (diagram_id, id, doc) VALUES ('l', 'x', '{}') $$, '39P01', 'diagsync.capture_changes', 'capture_changes without its transition table');
ROLLBACK TO s;

-- ---- Application triggers ------------------------------------------------------------------------

-- One that changes what is stored.
CREATE FUNCTION t.count_versions() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	NEW.doc := NEW.doc || jsonb_build_object('n', coalesce((OLD.doc ->> 'n')::int, 0) + 1);
	RETURN NEW;
END $$;
CREATE TRIGGER app BEFORE UPDATE ON diagsync_local.entity FOR EACH ROW EXECUTE FUNCTION t.count_versions();
SELECT t.write('p', 'a', '{"v": 3}');
SELECT is((diagsync.pull('l')).updated, 1, 'a pull with an application trigger that changes what is stored');
SELECT is(t.docs('l') -> 'a', '{"n": 1, "v": 3}', 'the trigger had its way');
SELECT is(t.changes('l'), 'a:local:update>:', 'and the difference stays a change');
SELECT is(t.base('l'), '{"a": {"v": 3}}', 'from what was pulled');
SELECT is(t.show(diagsync.push('l')), 'yes +0 ~1 -0 0/0', 'which is pushed');
SELECT is(t.docs('p'), t.docs('l'), 'then both ends agree');
DROP TRIGGER app ON diagsync_local.entity;
CREATE TRIGGER app BEFORE INSERT OR UPDATE ON diagsync_public.entity FOR EACH ROW EXECUTE FUNCTION t.count_versions();
SELECT t.write('l', 'a', '{"v": 4}'), t.write('l', 'n', '{"v": 4}');
SELECT is((diagsync.push('l')).documents_updated, 2, 'a push with such a trigger in the shared copy');
SELECT is(t.docs('p') -> 'n', '{"n": 1, "v": 4}', 'the trigger had its way');
SELECT is(t.changes('l'), 'a:public:>update: n:public:>update:', 'and the difference is a public change');
SELECT is((diagsync.pull('l')).updated, 2, 'which is pulled');
SELECT is(t.docs('p'), t.docs('l'), 'then both ends agree');
DROP TRIGGER app ON diagsync_public.entity;

-- One that refuses some.
CREATE FUNCTION t.keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN CASE WHEN OLD.id <> 'b' THEN OLD END; END $$;
CREATE TRIGGER app BEFORE DELETE ON diagsync_public.entity FOR EACH ROW EXECUTE FUNCTION t.keep();
SELECT t.write('l', 'a', NULL), t.write('l', 'b', NULL);
SELECT is((diagsync.push('l')).deleted, 1, 'a deletion that a trigger in the shared copy does not let through');
SELECT is(t.changes('l'), 'b:local:delete>:', 'stays a change');
DROP TRIGGER app ON diagsync_public.entity;
SELECT is(t.show(diagsync.push('l')), 'yes +0 ~0 -1 0/0', 'until it does');

-- One that edits something else while a sync runs.
CREATE FUNCTION t.log() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO diagsync_local.entity (diagram_id, id, doc) VALUES ('l', 'log', '{"v": 1}') ON CONFLICT (diagram_id, id) DO UPDATE SET doc = '{"v": 2}';
	RETURN NULL;
END $$;
CREATE TRIGGER app AFTER INSERT ON diagsync_local.entity FOR EACH ROW WHEN (NEW.id = 'from far') EXECUTE FUNCTION t.log();
SELECT t.write('p', 'from far', '{"v": 1}');
SELECT is((diagsync.pull('l')).inserted, 1, 'a trigger that edits while a pull runs');
SELECT is(t.changes('l'), 'log:local:insert>:', 'makes an ordinary local change');
DROP TRIGGER app ON diagsync_local.entity;

-- One that syncs within the statement that edits; and a statement that does.
CREATE FUNCTION t.sync() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM diagsync.push('l'); RETURN NULL; END $$;
CREATE TRIGGER app AFTER INSERT ON diagsync_local.entity FOR EACH ROW WHEN (NEW.id = 'now') EXECUTE FUNCTION t.sync();
SELECT t.refuses($$ INSERT INTO diagsync_local.entity (diagram_id, id, doc) VALUES ('l', 'now', '{}') $$, '55006', 'diagsync.push', 'a trigger that pushes within the statement that edits');
DROP TRIGGER app ON diagsync_local.entity;
SELECT t.refuses(format($$ UPDATE diagsync_local.entity SET doc = '{"v": 9}' WHERE diagram_id = 'l' AND id = 'log' RETURNING %s $$, call), '55006', 'diagsync.', 'while a statement edits: ' || call)
  FROM unnest(ARRAY['diagsync.push(''l'')', 'diagsync.pull(''l'')', 'diagsync.resolve(''l'', ''log'', ''local'')', 'diagsync.share(''l'')', 'diagsync.clone(''p'')', 'diagsync.link(''l'', ''p'')']) AS call;
SELECT is(t.show(diagsync.push('l')), 'yes +1 ~0 -0 0/0', 'after it a push works');

SELECT * FROM finish();
ROLLBACK;
