-- Whatever an application hangs on the tables of diagsync (triggers, conditions,
-- rules, constraints, defaults, indexes, foreign keys), on whichever table, and
-- whatever runs meanwhile: what its code edits has its records, or the call fails
-- and says so. Each combination has transactions of its own.
\ir ../../common/pgtap/helpers.sql
SET client_min_messages = error;
SET search_path = public, t;
SELECT plan(18);

---- The code that is hung up ---------------------------------------------------

-- Which edits it makes: elsewhere (of another link), beside (other entities of the
-- link at work) or same (what is being synced); empty: none.
CREATE FUNCTION t.act() RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
	wanted text := pg_catalog.current_setting('app.act', true);
BEGIN
	IF wanted IS NULL OR wanted OPERATOR(pg_catalog.=) '' OR wanted OPERATOR(pg_catalog.=) 'busy' THEN RETURN true; END IF;
	PERFORM pg_catalog.set_config('app.act', 'busy', false), pg_catalog.set_config('app.acted', wanted, false);
	IF wanted = 'elsewhere' THEN PERFORM t.edit('log', 'sharedlog');
	ELSIF wanted = 'beside' THEN PERFORM t.edit('ann', 'shared');
	ELSE
		UPDATE diagsync_local.entity SET doc = doc || '{"same": 1}' WHERE diagram_id = 'ann' AND id IN ('a', 'b', 'x');
		UPDATE diagsync_public.entity SET doc = doc || '{"same": 2}' WHERE diagram_id = 'shared' AND id IN ('a', 'b', 'c');
		DELETE FROM diagsync_local.entity WHERE diagram_id = 'ann' AND id IN ('d');
		INSERT INTO diagsync_local.entity (diagram_id, id, doc) VALUES ('ann', 'f', '{"same": 3}') ON CONFLICT DO NOTHING;
		INSERT INTO diagsync_public.entity (diagram_id, id, doc) VALUES ('shared', 'e', '{"same": 4}') ON CONFLICT DO NOTHING;
	END IF;
	PERFORM pg_catalog.set_config('app.act', wanted, false);
	RETURN true;
END $$;
CREATE FUNCTION t.edit(local text, public text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	UPDATE diagsync_local.entity SET doc = '{"n": 1}' WHERE diagram_id = local AND id = 'updated here';
	DELETE FROM diagsync_local.entity WHERE diagram_id = local AND id = 'deleted here';
	INSERT INTO diagsync_local.entity (diagram_id, id, doc) VALUES (local, 'inserted here', '{"n": 1}') ON CONFLICT DO NOTHING;
	UPDATE diagsync_public.entity SET doc = '{"n": 1}' WHERE diagram_id = public AND id = 'updated there';
	DELETE FROM diagsync_public.entity WHERE diagram_id = public AND id = 'deleted there';
	INSERT INTO diagsync_public.entity (diagram_id, id, doc) VALUES (public, 'inserted there', '{"n": 1}') ON CONFLICT DO NOTHING;
END $$;
CREATE FUNCTION t.act_row() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN
	PERFORM t.act(); IF TG_OP = 'DELETE' THEN RETURN OLD; END IF; RETURN NEW; END $$;
CREATE FUNCTION t.nothing() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN
	IF TG_OP = 'DELETE' THEN RETURN OLD; END IF; RETURN NEW; END $$;
CREATE FUNCTION t.act_on(anyelement) RETURNS boolean IMMUTABLE LANGUAGE plpgsql AS $$BEGIN RETURN t.act(); END $$;
CREATE FUNCTION t.act_text(anyelement) RETURNS text IMMUTABLE LANGUAGE plpgsql AS $$BEGIN PERFORM t.act(); RETURN $1::text; END $$;
CREATE FUNCTION t.act_default() RETURNS text LANGUAGE plpgsql AS $$BEGIN PERFORM t.act(); RETURN 'x'; END $$;
CREATE DOMAIN t.acting AS text CHECK (t.act_on(VALUE));
CREATE TABLE t.label (diagram_id text COLLATE "C", id text COLLATE "C");

CREATE TABLE t.hook (n int GENERATED ALWAYS AS IDENTITY, name text, make text, unmake text);

-- Triggers of all kinds, and functions in their conditions.
INSERT INTO t.hook (name, make, unmake)
SELECT format('%s %s trigger of %s', timing, level, target),
	format('CREATE TRIGGER app %s INSERT OR UPDATE OR DELETE ON %s FOR EACH %s EXECUTE FUNCTION t.act_row()', timing, target, level),
	format('DROP TRIGGER app ON %s', target)
  FROM unnest(ARRAY['diagsync_local.entity', 'diagsync_public.entity', 'diagsync_private.entity', 'diagsync_local.base', 'diagsync_public.tombstone', 'diagsync.directory', 'diagsync.sync_log']) AS target,
	unnest(ARRAY['BEFORE', 'AFTER']) AS timing, unnest(ARRAY['ROW', 'STATEMENT']) AS level;
INSERT INTO t.hook (name, make, unmake)
SELECT format('condition of a %s %s %s trigger of %s', timing, event, level, target),
	format('CREATE TRIGGER " app" %s %s ON %s FOR EACH %s WHEN (t.act()) EXECUTE FUNCTION t.nothing()', timing, event, target, level),
	format('DROP TRIGGER " app" ON %s', target)
  FROM unnest(ARRAY['diagsync_local.entity', 'diagsync_public.entity', 'diagsync.directory']) AS target,
	unnest(ARRAY['BEFORE', 'AFTER']) AS timing, unnest(ARRAY['ROW', 'STATEMENT']) AS level, unnest(ARRAY['INSERT', 'UPDATE', 'DELETE']) AS event;
INSERT INTO t.hook (name, make, unmake)
SELECT format('condition of diagsync''s trigger function, on %s', target),
	format('CREATE TRIGGER app BEFORE UPDATE ON %s FOR EACH ROW WHEN (t.act()) EXECUTE FUNCTION diagsync.stamp_entity()', target),
	format('DROP TRIGGER app ON %s', target)
  FROM unnest(ARRAY['diagsync_local.entity', 'diagsync_public.entity']) AS target;
INSERT INTO t.hook (name, make, unmake)
SELECT format('deferred constraint trigger of %s', target),
	format('CREATE CONSTRAINT TRIGGER app AFTER INSERT OR UPDATE OR DELETE ON %s DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION t.act_row()', target),
	format('DROP TRIGGER app ON %s', target)
  FROM unnest(ARRAY['diagsync_local.entity', 'diagsync_public.entity', 'diagsync_local.base', 'diagsync.directory']) AS target;

-- Rules, beside and instead.
INSERT INTO t.hook (name, make, unmake)
SELECT format('rule on %s of %s', event, target),
	format('CREATE RULE app AS ON %s TO %s DO ALSO SELECT t.act()', event, target), format('DROP RULE app ON %s', target)
  FROM unnest(ARRAY['diagsync_local.entity', 'diagsync_public.entity', 'diagsync_local.base', 'diagsync_public.tombstone', 'diagsync.directory']) AS target,
	unnest(ARRAY['INSERT', 'UPDATE', 'DELETE']) AS event;
INSERT INTO t.hook (name, make, unmake)
SELECT format('rule on %s of %s that edits the other end', event, a),
	format('CREATE RULE app AS ON %s TO %s DO ALSO UPDATE %s SET doc = doc || ''{"rule": 1}'' WHERE id IN (''updated here'', ''updated there'') AND %s.id NOT IN (''updated here'', ''updated there'')',
		event, a, b, CASE event WHEN 'INSERT' THEN 'new' ELSE 'old' END), format('DROP RULE app ON %s', a)
  FROM (VALUES ('diagsync_local.entity', 'diagsync_public.entity'), ('diagsync_public.entity', 'diagsync_local.entity')) AS v (a, b),
	unnest(ARRAY['INSERT', 'UPDATE', 'DELETE']) AS event;
INSERT INTO t.hook (name, make, unmake)
SELECT format('rule on DELETE of %s that updates the table itself', target),
	format('CREATE RULE app AS ON DELETE TO %s DO ALSO UPDATE %s SET doc = doc || ''{"rule": 1}'' WHERE diagram_id = old.diagram_id AND id IN (''updated here'', ''updated there'')', target, target),
	format('DROP RULE app ON %s', target)
  FROM unnest(ARRAY['diagsync_local.entity', 'diagsync_public.entity']) AS target;

-- What is evaluated for each row.
INSERT INTO t.hook (name, make, unmake)
SELECT format(v.name, target), format(v.make, target), format(v.unmake, target)
  FROM unnest(ARRAY['diagsync_local.entity', 'diagsync_public.entity', 'diagsync_local.base', 'diagsync_public.tombstone', 'diagsync.sync_log']) AS target,
	(VALUES ('CHECK of %s', 'ALTER TABLE %s ADD CONSTRAINT app CHECK (t.act_on(1))', 'ALTER TABLE %s DROP CONSTRAINT app'),
		('index of %s', 'CREATE INDEX app ON %s (t.act_text(tableoid))', 'DROP INDEX %1$s_app'),
		('default of a column of %s', 'ALTER TABLE %1$s ADD COLUMN app text; ALTER TABLE %1$s ALTER COLUMN app SET DEFAULT t.act_default()', 'ALTER TABLE %s DROP COLUMN app'),
		('type of a column of %s', 'ALTER TABLE %1$s ADD COLUMN app t.acting; ALTER TABLE %1$s ALTER COLUMN app SET DEFAULT ''x''', 'ALTER TABLE %s DROP COLUMN app')
	) AS v (name, make, unmake) WHERE v.name NOT LIKE 'index%';
INSERT INTO t.hook (name, make, unmake)
SELECT format(v.name, s, r), format(v.make, s, r), format(v.unmake, s, r)
  FROM (VALUES ('diagsync_local', 'entity', 'doc'), ('diagsync_public', 'entity', 'doc'), ('diagsync_local', 'base', 'id'), ('diagsync_public', 'tombstone', 'id')) AS w (s, r, c),
	(VALUES ('index of %s.%s', 'CREATE INDEX app ON %s.%s (t.act_text(id))', 'DROP INDEX %s.app'),
		('predicate of an index of %s.%s', 'CREATE INDEX app ON %s.%s (id) WHERE t.act_on(id)', 'DROP INDEX %s.app'),
		('exclusion constraint of %s.%s', 'ALTER TABLE %s.%s ADD CONSTRAINT app EXCLUDE USING btree (t.act_text(diagram_id || '' '' || id) WITH =)', 'ALTER TABLE %s.%s DROP CONSTRAINT app'),
		('generated column of %s.%s', 'ALTER TABLE %s.%s ADD COLUMN app text GENERATED ALWAYS AS (t.act_text(id)) STORED', 'ALTER TABLE %s.%s DROP COLUMN app')
	) AS v (name, make, unmake);

-- Foreign keys: of the table to itself (the children of what is synced are what an
-- edit beside would touch), and of a table of the application with a trigger.
CREATE FUNCTION t.set_parent() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN
	NEW.parent := NEW.doc->>'parent'; RETURN NEW; END$$;
INSERT INTO t.hook (name, make, unmake)
SELECT format('foreign key of %s ON DELETE %s, %s', target, action, defer),
	format('ALTER TABLE %1$s ADD COLUMN parent text COLLATE "C"; UPDATE %1$s SET parent = doc->>''parent'' WHERE doc ? ''parent'';
		CREATE TRIGGER app BEFORE INSERT ON %1$s FOR EACH ROW EXECUTE FUNCTION t.set_parent();
		ALTER TABLE %1$s ADD CONSTRAINT app FOREIGN KEY (diagram_id, parent) REFERENCES %1$s ON DELETE %2$s %3$s DEFERRABLE INITIALLY %4$s',
		target, action, CASE WHEN action LIKE 'SET%' THEN '(parent)' END, defer),
	format('ALTER TABLE %1$s DROP COLUMN parent; DROP TRIGGER app ON %1$s', target)
  FROM unnest(ARRAY['diagsync_local.entity', 'diagsync_public.entity']) AS target, unnest(ARRAY['CASCADE', 'SET NULL', 'SET DEFAULT']) AS action,
	unnest(ARRAY['IMMEDIATE', 'DEFERRED']) AS defer;
INSERT INTO t.hook (name, make, unmake)
SELECT format('foreign key of %s over a generated column', target),
	format('ALTER TABLE %1$s ADD COLUMN parent text COLLATE "C" GENERATED ALWAYS AS (doc->>''parent'') STORED;
		ALTER TABLE %1$s ADD CONSTRAINT app FOREIGN KEY (diagram_id, parent) REFERENCES %1$s ON DELETE CASCADE', target),
	format('ALTER TABLE %1$s DROP COLUMN parent', target)
  FROM unnest(ARRAY['diagsync_local.entity', 'diagsync_public.entity']) AS target;
INSERT INTO t.hook (name, make, unmake)
SELECT format('foreign key of %s ON UPDATE CASCADE', target),
	format('ALTER TABLE %1$s ADD COLUMN label text COLLATE "C" GENERATED ALWAYS AS (id || (doc->>''v'')) STORED, ADD COLUMN parent text COLLATE "C";
		ALTER TABLE %1$s ADD CONSTRAINT app_key UNIQUE (diagram_id, label);
		UPDATE %1$s SET parent = ''x1'' WHERE id = ''child'' AND diagram_id IN (''ann'', ''shared'');
		ALTER TABLE %1$s ADD CONSTRAINT app FOREIGN KEY (diagram_id, parent) REFERENCES %1$s (diagram_id, label) ON UPDATE CASCADE', target),
	format('ALTER TABLE %1$s DROP COLUMN parent, DROP COLUMN label', target)
  FROM unnest(ARRAY['diagsync_local.entity', 'diagsync_public.entity']) AS target;
INSERT INTO t.hook (name, make, unmake)
SELECT format('trigger of a table with a foreign key to %s', target),
	format('INSERT INTO t.label SELECT diagram_id, id FROM %1$s; ALTER TABLE t.label ADD CONSTRAINT app FOREIGN KEY (diagram_id, id) REFERENCES %1$s ON DELETE CASCADE;
		CREATE TRIGGER app AFTER DELETE ON t.label FOR EACH ROW EXECUTE FUNCTION t.act_row()', target),
	'DROP TRIGGER app ON t.label; ALTER TABLE t.label DROP CONSTRAINT app; DELETE FROM t.label'
  FROM unnest(ARRAY['diagsync_local.entity', 'diagsync_public.entity']) AS target;

---- What runs meanwhile ----------------------------------------------------------

CREATE TABLE t.operation (n int GENERATED ALWAYS AS IDENTITY, call text);
INSERT INTO t.operation (call) VALUES
	($$SELECT diagsync.push('ann', on_conflict => 'skip')$$), ($$SELECT diagsync.push('ann', on_conflict => 'local')$$),
	($$SELECT diagsync.pull('ann', on_conflict => 'skip')$$), ($$SELECT diagsync.pull('ann', on_conflict => 'both')$$),
	($$SELECT diagsync.resolve('ann', 'x', 'public')$$), ($$SELECT diagsync.resolve('ann', 'x', 'both')$$),
	($$SELECT diagsync.share('new', 'sharednew')$$), ($$SELECT diagsync.clone('shared', 'dan')$$),
	($$SELECT diagsync.put('ann', '[{"id": "a", "put": 1}, {"id": "put"}]')$$), ($$SELECT diagsync.put('shared', '[{"id": "b", "put": 1}, {"id": "put"}]')$$),
	($$SELECT diagsync.remove('ann', '{a,e,frame}')$$), ($$SELECT diagsync.remove('shared', '{b,f,frame}')$$),
	($$UPDATE diagsync_local.entity SET doc = doc || '{"sql": 1}' WHERE diagram_id = 'ann'$$), ($$DELETE FROM diagsync_public.entity WHERE diagram_id = 'shared' AND id IN ('b', 'frame')$$),
	($$MERGE INTO diagsync_local.entity AS e USING (VALUES ('a'), ('frame'), ('merged')) AS v (id) ON e.diagram_id = 'ann' AND e.id = v.id
		WHEN MATCHED AND v.id = 'frame' THEN DELETE WHEN MATCHED THEN UPDATE SET doc = '{"merge": 1}' WHEN NOT MATCHED THEN INSERT (diagram_id, id, doc) VALUES ('ann', v.id, '{}')$$),
	($$SELECT diagsync.prune()$$), ($$SELECT diagsync.drop_diagram('ben')$$), ($$SELECT diagsync.unlink('ben')$$), ($$SELECT diagsync.refresh('ann')$$),
	($$SELECT diagsync.set_storage_type('shared', 'private')$$);

---- Each with each ----------------------------------------------------------------

CREATE FUNCTION t.set_up() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM diagsync.drop_diagram(id) FROM (SELECT id FROM diagsync.directory ORDER BY storage_type <> 'local', id) AS d;
	PERFORM t.pair('ann', 'shared', '{"a": {"v": 1}, "b": {"v": 1}, "c": {"v": 1}, "d": {"v": 1}, "x": {"v": 1}, "frame": {}, "child": {"parent": "frame"}, "grandchild": {"parent": "child"}, "far frame": {}, "far child": {"parent": "far frame"},
		"updated here": {"n": 0}, "deleted here": {}, "updated there": {"n": 0}, "deleted there": {}}');
	PERFORM diagsync.clone('shared', 'ben');
	PERFORM t.pair('log', 'sharedlog', '{"updated here": {"n": 0}, "deleted here": {}, "updated there": {"n": 0}, "deleted there": {}}');
	PERFORM diagsync.clone('sharedlog', 'logclone');
	PERFORM t.make('new', '{"a": {}, "b": {}}');
END $$;
CREATE FUNCTION t.change() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM t.write('ann', 'a', '{"v": 2}'), t.write('ann', 'c', NULL), t.write('ann', 'e', '{"v": 2}'), t.write('ann', 'x', '{"v": 2}');
	PERFORM t.write('ann', 'frame', NULL), t.write('shared', 'far frame', NULL);
	PERFORM t.write('shared', 'b', '{"v": 3}'), t.write('shared', 'd', NULL), t.write('shared', 'f', '{"v": 3}'), t.write('shared', 'x', '{"v": 3}');
END $$;
-- Where status() and a full comparison do not say the same.
CREATE FUNCTION t.wrong_status() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	wrong text;
	said text;
	found text;
	link text;
BEGIN
	FOR link IN SELECT id FROM diagsync.directory WHERE public_copy_id IS NOT NULL ORDER BY id LOOP
		said := t.status(link);
		PERFORM diagsync.refresh(link);
		found := t.status(link);
		IF said <> found THEN wrong := concat_ws('; ', wrong, format('%s is %s, not %s', link, found, said)); END IF;
	END LOOP;
	RAISE SQLSTATE 'TT000' USING MESSAGE = coalesce(wrong, 'fine');
EXCEPTION WHEN SQLSTATE 'TT000' THEN RETURN SQLERRM;
END $$;

-- Whether the edits of t.edit(), made on one end each, are on both in the end.
CREATE FUNCTION t.lost(local text, public text, clone text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	lost text;
	diagram text;
BEGIN
	PERFORM diagsync.pull(local, on_conflict => 'local');
	PERFORM diagsync.push(local, on_conflict => 'local');
	IF clone IN (SELECT id FROM diagsync.directory WHERE public_copy_id IS NOT NULL) THEN PERFORM diagsync.pull(clone); END IF;
	FOR diagram IN SELECT id FROM diagsync.directory WHERE id IN (local, public) OR id = clone AND public_copy_id IS NOT NULL ORDER BY id LOOP
		lost := concat_ws(', ', lost,
			CASE WHEN t.docs(diagram) -> 'updated here' -> 'n' IS DISTINCT FROM '1' THEN diagram || ' updated here' END,
			CASE WHEN t.docs(diagram) ? 'deleted here' THEN diagram || ' deleted here' END,
			CASE WHEN NOT t.docs(diagram) ? 'inserted here' THEN diagram || ' inserted here' END,
			CASE WHEN t.docs(diagram) -> 'updated there' -> 'n' IS DISTINCT FROM '1' THEN diagram || ' updated there' END,
			CASE WHEN t.docs(diagram) ? 'deleted there' THEN diagram || ' deleted there' END,
			CASE WHEN NOT t.docs(diagram) ? 'inserted there' THEN diagram || ' inserted there' END);
	END LOOP;
	RETURN nullif(lost, '');
END $$;

-- Whether all agree once everything is synced.
CREATE FUNCTION t.apart() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	apart text;
	d record;
BEGIN
	FOR i IN 1..2 LOOP
		FOR d IN SELECT * FROM diagsync.directory WHERE public_copy_id IS NOT NULL ORDER BY id LOOP
			PERFORM diagsync.pull(d.id, on_conflict => 'local');
			PERFORM diagsync.push(d.id, on_conflict => 'local');
		END LOOP;
	END LOOP;
	FOR d IN SELECT * FROM diagsync.directory WHERE public_copy_id IS NOT NULL ORDER BY id LOOP
		PERFORM diagsync.pull(d.id);
		IF t.docs(d.id) <> t.docs(d.public_copy_id) THEN apart := concat_ws(', ', apart, d.id); END IF;
	END LOOP;
	RETURN coalesce(apart || ' apart: ' || (SELECT string_agg(format('%s %s', id, t.docs(id)), ' ') FROM diagsync.directory), 'fine');
END $$;

CREATE TABLE t.tried (hook text, act text, call text, acted boolean, error text, status text, lost text, apart text);
CREATE FUNCTION t.try(call text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE call;
	SET CONSTRAINTS ALL IMMEDIATE;
	RETURN NULL;
EXCEPTION WHEN others THEN RETURN SQLSTATE || ' ' || SQLERRM; END $$;
CREATE PROCEDURE t.try_one(h t.hook, act text, call text) LANGUAGE plpgsql AS $$
DECLARE
	error text;
	acted text;
	result t.tried;
BEGIN
	PERFORM set_config('app.act', '', false), set_config('app.acted', '', false);
	PERFORM t.set_up();
	COMMIT;
	IF h.name LIKE 'foreign key%' THEN EXECUTE h.make; COMMIT; END IF;
	PERFORM t.change();
	COMMIT;
	IF h.name NOT LIKE 'foreign key%' THEN EXECUTE h.make; COMMIT; END IF;
	PERFORM set_config('app.act', act, false);
	error := t.try(call);
	acted := current_setting('app.acted');
	PERFORM set_config('app.act', '', false);
	COMMIT;
	EXECUTE h.unmake;
	COMMIT;
	result := (h.name, act, call, acted <> '', error, t.wrong_status(), NULL, NULL);
	COMMIT;
	IF error IS NULL AND acted = 'elsewhere' THEN result.lost := t.lost('log', 'sharedlog', 'logclone'); END IF;
	IF error IS NULL AND acted = 'beside' AND call NOT LIKE '%set_storage_type%' AND call NOT LIKE 'UPDATE%' THEN
		result.lost := t.lost('ann', 'shared', 'ben');
	END IF;
	COMMIT;
	result.apart := t.apart();
	COMMIT;
	INSERT INTO t.tried VALUES (result.*);
	COMMIT;
END $$;

-- Of all combinations one in so many, in turn; and all of those of which the names
-- are like that.
CREATE PROCEDURE t.try_each(hooks text, operations text, every int, acts text[] DEFAULT '{elsewhere,beside,same}') LANGUAGE plpgsql AS $$
DECLARE
	h t.hook;
	o record;
	act text;
BEGIN
	FOR h IN SELECT * FROM t.hook WHERE name ~ hooks ORDER BY n LOOP
		FOR o IN SELECT * FROM t.operation WHERE call ~ operations ORDER BY n LOOP
			FOREACH act IN ARRAY acts LOOP
				CONTINUE WHEN (h.n * 7 + o.n * 3 + array_position(acts, act)) % every <> 0
					OR act <> 'elsewhere' AND h.name ~ '^(rule on .* that |foreign key)';
				CALL t.try_one(h, act, o.call);
			END LOOP;
		END LOOP;
	END LOOP;
END $$;

CALL t.try_each('^foreign key', '.', 5);
CALL t.try_each('trigger of (diagsync.directory|diagsync_local.base|diagsync_public.tombstone)$', 'push.*skip|pull.*skip|refresh|set_storage', 1, '{beside}');
CALL t.try_each('entity|base|tombstone|directory|log', '.', 23);
SELECT cmp_ok((SELECT count(*) FROM t.tried), '>', 400::bigint, 'many combinations were tried');
SELECT cmp_ok((SELECT count(*) FROM t.tried WHERE acted AND error IS NULL), '>', 100::bigint, 'in many of them the code has edited something, and the call succeeded');
SELECT is((SELECT string_agg(format('%s, %s, %s: status %s', hook, act, call, status), E'\n') FROM (SELECT * FROM t.tried WHERE status <> 'fine' LIMIT 5) AS p), NULL,
	'status() says then what a comparison in full says, of every link');
SELECT is((SELECT string_agg(format('%s, %s, %s: %s', hook, act, call, lost), E'\n') FROM (SELECT * FROM t.tried WHERE lost IS NOT NULL LIMIT 5) AS p), NULL,
	'what it has edited is everywhere once all is synced');
SELECT is((SELECT string_agg(format('%s, %s, %s: %s', hook, act, call, apart), E'\n') FROM (SELECT * FROM t.tried WHERE apart <> 'fine' LIMIT 5) AS p), NULL,
	'and all copies agree');
SELECT is((SELECT string_agg(DISTINCT error, E'\n') FROM t.tried WHERE error !~ '^(27000|21000|0A000|42809|23503|23505|23P01) '), NULL,
	'errors are those of PostgreSQL for code that edits what is just being written, or say what cannot be');

---- Code that captures changes from being written ---------------------------------

SELECT t.set_up();
SELECT t.change();
CREATE FUNCTION t.refuse() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN NULL; END$$;
CREATE TRIGGER app BEFORE INSERT ON diagsync_local.base FOR EACH ROW EXECUTE FUNCTION t.refuse();
SELECT t.refuses($$ SELECT t.write('ann', 'b', '{"v": 9}') $$, '27000', 'could not be captured', 'an update whose base row a trigger keeps out');
SELECT t.refuses($$ SELECT t.write('ann', 'b', NULL) $$, '27000', 'could not be captured', 'a deletion');
SELECT t.refuses($$ SELECT t.write('ann', 'n', '{}') $$, '27000', 'could not be captured', 'an insert');
SELECT lives_ok($$ SELECT t.write('ann', 'a', '{"v": 9}') $$, '... but not the edit of what is noted already');
SELECT t.refuses($$ SELECT diagsync.refresh('ann') $$, '27000', 'could not be captured', 'a comparison in full');
DROP TRIGGER app ON diagsync_local.base;
CREATE TRIGGER app BEFORE INSERT ON diagsync_public.tombstone FOR EACH ROW EXECUTE FUNCTION t.refuse();
SELECT t.refuses($$ SELECT t.write('shared', 'b', NULL) $$, '27000', 'could not be captured', 'a deletion whose tombstone a trigger keeps out');
SELECT t.refuses($$ SELECT diagsync.push('ann', on_conflict => 'local') $$, '27000', 'could not be captured', 'the same in a push');
DROP TRIGGER app ON diagsync_public.tombstone;

-- It runs as the tables' owner, and finds no names of the caller's.
CREATE FUNCTION t.note_path() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN
	PERFORM pg_catalog.set_config('t.path', pg_catalog.current_setting('search_path'), false); RETURN NEW; END$$;
CREATE TRIGGER app BEFORE INSERT ON diagsync_local.base FOR EACH ROW EXECUTE FUNCTION t.note_path();
SELECT t.write('ann', 'b', '{"v": 9}');
SELECT is(current_setting('t.path'), 'pg_catalog, pg_temp', 'code hung on the records finds no names of the caller''s');
DROP TRIGGER app ON diagsync_local.base;

---- A statement that does not come to its end -------------------------------------

ALTER TABLE diagsync_local.entity DISABLE TRIGGER diagsync_capture_update;
SELECT t.refuses($$ UPDATE diagsync_local.entity SET doc = '{}' WHERE diagram_id = 'ann' AND id = 'a'; SELECT diagsync.push('ann') $$, '55006', 'inside a statement', 'a sync after a statement whose triggers did not fire after it');
BEGIN;
UPDATE diagsync_local.entity SET doc = '{"v": 77}' WHERE diagram_id = 'ann' AND id = 'a';
\set ON_ERROR_STOP off
COMMIT;
\set state :SQLSTATE
\set ON_ERROR_STOP on
SELECT is(:'state'::text, '55000', 'its transaction cannot be committed');
SELECT is(t.docs('ann') -> 'a', '{"v": 9}', 'and is not');
BEGIN;
SAVEPOINT s;
UPDATE diagsync_local.entity SET doc = '{"v": 77}' WHERE diagram_id = 'ann' AND id = 'a';
ROLLBACK TO s;
SELECT lives_ok($$ SELECT diagsync.refresh('ann') $$, 'one that is rolled back does not matter');
COMMIT;
ALTER TABLE diagsync_local.entity ENABLE TRIGGER diagsync_capture_update;

SELECT * FROM finish();
