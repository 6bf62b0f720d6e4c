-- Triggers of applications on the entity tables: what they write has its records
-- like any edit, whatever else is going on.

BEGIN;
SELECT plan(43);

-- What differs between a local diagram and its shared copy, in a line each.
CREATE FUNCTION differs(diagram text) RETURNS SETOF text LANGUAGE sql AS $$
	SELECT format('%s %s/%s', entity_id, coalesce(local_change, '-'), coalesce(public_change, '-'))
	  FROM diagsync.changes(diagram) ORDER BY entity_id $$;
CREATE FUNCTION doc_of(diagram text, wanted text) RETURNS jsonb LANGUAGE sql AS $$
	SELECT doc FROM diagsync.entity WHERE diagram_id = diagram AND id = wanted $$;
CREATE FUNCTION base_of(diagram text, wanted text) RETURNS text LANGUAGE sql AS $$
	SELECT coalesce(max(coalesce(doc::text, 'none')), 'no row')
	  FROM diagsync_local.base WHERE diagram_id = diagram AND id = wanted $$;

SELECT diagsync.create_diagram('d', id => 'L');
SELECT diagsync.put('L', '[{"id": "a", "x": 1}, {"id": "b", "x": 1}, {"id": "c", "x": 1}, {"id": "d", "x": 1}]');
SELECT diagsync.share('L', 'P');
SELECT diagsync.clone('P', 'M');

---- An AFTER ROW trigger that edits the row again: its records come first -------

CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN
	IF pg_trigger_depth() = 1 THEN
		UPDATE diagsync_local.entity SET doc = doc || '{"kind": "x"}'
		 WHERE diagram_id = NEW.diagram_id AND id = NEW.id;
	END IF;
	RETURN NULL; END$$;
CREATE TRIGGER app AFTER INSERT OR UPDATE ON diagsync_local.entity FOR EACH ROW EXECUTE FUNCTION touch();

INSERT INTO diagsync_local.entity (diagram_id, id, doc) VALUES ('L', 'new', '{"id": "new", "kind": "x"}');
SELECT is(base_of('L', 'new'), 'none', 'an inserted row that is edited at once has no base');
SELECT set_eq($$SELECT differs('L')$$, ARRAY['new insert/-'], 'it is a local insert');
SELECT diagsync.pull('L');
SELECT is(doc_of('L', 'new'), '{"id": "new", "kind": "x"}', 'a pull leaves it alone');

UPDATE diagsync_local.entity SET doc = '{"id": "a", "x": 2, "kind": "x"}' WHERE diagram_id = 'L' AND id = 'a';
SELECT is(base_of('L', 'a'), '{"x": 1, "id": "a"}', 'an updated row that is edited at once keeps the version from before');
SELECT diagsync.pull('L');
SELECT is(doc_of('L', 'a'), '{"id": "a", "x": 2, "kind": "x"}', 'a pull leaves the edit alone');

INSERT INTO diagsync_local.entity (diagram_id, id, doc) VALUES ('L', 'b', '{"id": "b", "x": 3}')
ON CONFLICT (diagram_id, id) DO UPDATE SET doc = excluded.doc;
SELECT is(base_of('L', 'b'), '{"x": 1, "id": "b"}', 'the same for ON CONFLICT DO UPDATE');
DROP TRIGGER app ON diagsync_local.entity;

CREATE FUNCTION soft_delete() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN
	IF NEW.doc ? 'deleted' THEN
		DELETE FROM diagsync_local.entity WHERE diagram_id = NEW.diagram_id AND id = NEW.id;
	END IF;
	RETURN NULL; END$$;
CREATE TRIGGER app AFTER UPDATE ON diagsync_local.entity FOR EACH ROW EXECUTE FUNCTION soft_delete();
UPDATE diagsync_local.entity SET doc = doc || '{"deleted": true}' WHERE diagram_id = 'L' AND id = 'c';
SELECT is(base_of('L', 'c'), '{"x": 1, "id": "c"}', 'an update that a trigger makes a deletion');
SELECT set_has($$SELECT differs('L')$$, $$VALUES ('c delete/-')$$, 'is a local deletion');
DROP TRIGGER app ON diagsync_local.entity;

CREATE FUNCTION revive() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN
	BEGIN
		INSERT INTO diagsync_local.entity (diagram_id, id, doc) VALUES (OLD.diagram_id, OLD.id, OLD.doc || '{"revived": true}');
	EXCEPTION WHEN division_by_zero THEN NULL;
	END;
	RETURN NULL; END$$;
CREATE TRIGGER app AFTER DELETE ON diagsync_local.entity FOR EACH ROW EXECUTE FUNCTION revive();
DELETE FROM diagsync_local.entity WHERE diagram_id = 'L' AND id = 'd';
SELECT is(base_of('L', 'd'), '{"x": 1, "id": "d"}', 'a deleted row that is inserted again, in a subtransaction, keeps its base');
SELECT set_has($$SELECT differs('L')$$, $$VALUES ('d update/-')$$, 'it is an update');
DROP TRIGGER app ON diagsync_local.entity;

-- A row that was deleted and inserted before must not get a base from a later deletion.
INSERT INTO diagsync_local.entity (diagram_id, id, doc) VALUES ('L', 'e', '{"v": 1}');
WITH gone AS (DELETE FROM diagsync_local.entity WHERE diagram_id = 'L' AND id = 'e' RETURNING *)
INSERT INTO diagsync_local.entity (diagram_id, id, doc) SELECT diagram_id, id, '{"v": 2}' FROM gone;
SELECT is(base_of('L', 'e'), 'none', 'a new row that one command deletes and inserts still has no base');
SELECT diagsync.push('L');
SELECT diagsync.pull('M');
WITH gone AS (DELETE FROM diagsync_local.entity WHERE diagram_id = 'L' AND id IN ('d', 'e') RETURNING *)
INSERT INTO diagsync_local.entity (diagram_id, id, doc) SELECT diagram_id, id, '{"v": 3}' FROM gone LIMIT 1;
SELECT is((SELECT count(*) FROM diagsync_local.base WHERE diagram_id = 'L' AND doc IS NOT NULL), 2::bigint,
	'whichever trigger comes first, the deleted versions are the bases');
SELECT diagsync.push('L');
SELECT diagsync.pull('M');
SELECT is((SELECT count(*) FROM diagsync.status_all() WHERE diverged), 0::bigint, 'all agree again');

---- A BEFORE trigger that changes what is stored ------------------------------

CREATE FUNCTION add_property() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN
	NEW.doc := NEW.doc || '{"t": 1}'; RETURN NEW; END$$;

CREATE TRIGGER app BEFORE INSERT OR UPDATE ON diagsync_public.entity FOR EACH ROW EXECUTE FUNCTION add_property();
UPDATE diagsync_local.entity SET doc = '{"x": 5}' WHERE diagram_id = 'L' AND id = 'a';
SELECT diagsync.push('L');
SELECT set_eq($$SELECT differs('L')$$, ARRAY['a -/update'], 'what a push stores otherwise is a public change');
DROP TRIGGER app ON diagsync_public.entity;
SELECT diagsync.pull('L');
SELECT is(doc_of('L', 'a'), '{"x": 5, "t": 1}', 'which the next pull brings');

CREATE TRIGGER app BEFORE INSERT OR UPDATE ON diagsync_local.entity FOR EACH ROW EXECUTE FUNCTION add_property();
UPDATE diagsync_public.entity SET doc = '{"x": 6}' WHERE diagram_id = 'P' AND id = 'b';
SELECT diagsync.pull('L');
SELECT set_eq($$SELECT differs('L')$$, ARRAY['b update/-'], 'what a pull stores otherwise is a local change');
SELECT diagsync.pull('L');
SELECT diagsync.push('L');
SELECT is(doc_of('P', 'b'), '{"x": 6, "t": 1}', 'which the next push sends');

-- A clone, a copy of "both", and a merged document are altered as well.
SELECT diagsync.clone('P', 'N');
SELECT set_eq($$SELECT entity_id FROM diagsync.changes('N') WHERE local_change = 'update'$$,
	$$SELECT id FROM diagsync_public.entity WHERE diagram_id = 'P' AND NOT doc ? 't'$$, 'what a clone stores otherwise is a local change');
SELECT diagsync.pull('M');
SELECT diagsync.push('M', on_conflict => 'local');
UPDATE diagsync_public.entity SET doc = '{"x": 7, "t": 1}' WHERE diagram_id = 'P' AND id = 'b';
UPDATE diagsync_local.entity SET doc = '{"x": 8}' WHERE diagram_id = 'M' AND id = 'b';
SELECT diagsync.pull('M', on_conflict => 'both');
SELECT set_has($$SELECT regexp_replace(d, '^b-[0-9a-f]+', 'copy') FROM differs('M') d$$, $$VALUES ('copy insert/-')$$,
	'an altered copy is a local insert');
UPDATE diagsync.directory SET seen = NULL WHERE id = 'M';
SELECT diagsync.pull('M');
SELECT is((SELECT count(*) FROM diagsync_local.entity WHERE diagram_id = 'M' AND id LIKE 'b-%'), 1::bigint, 'which stays, compared in full');
DROP TRIGGER app ON diagsync_local.entity;
SELECT diagsync.drop_diagram('N');
SELECT diagsync.push('M'); SELECT diagsync.pull('L'); SELECT diagsync.push('L'); SELECT diagsync.pull('M');
SELECT is((SELECT count(*) FROM diagsync.status_all() WHERE diverged), 0::bigint, 'all agree again');

---- A BEFORE trigger that lets nothing be stored ------------------------------

CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN NULL; END$$;

UPDATE diagsync_public.entity SET doc = '{"x": 9}' WHERE diagram_id = 'P' AND id = 'a';
INSERT INTO diagsync_public.entity (diagram_id, id, doc) VALUES ('P', 'f', '{"x": 9}');
DELETE FROM diagsync_public.entity WHERE diagram_id = 'P' AND id = 'b';
CREATE TRIGGER app BEFORE INSERT OR UPDATE OR DELETE ON diagsync_local.entity FOR EACH ROW EXECUTE FUNCTION refuse();
SELECT is((SELECT documents_updated FROM diagsync.pull('L')), 0, 'a pull that stores nothing says so');
SELECT set_eq($$SELECT differs('L')$$, ARRAY['a -/update', 'b -/delete', 'f -/insert'], 'the changes are still to be pulled');
DROP TRIGGER app ON diagsync_local.entity;
SELECT is((SELECT documents_updated FROM diagsync.pull('L')), 3, 'and come with the next pull');

UPDATE diagsync_local.entity SET doc = '{"x": 10}' WHERE diagram_id = 'L' AND id = 'a';
CREATE TRIGGER app BEFORE INSERT OR UPDATE OR DELETE ON diagsync_public.entity FOR EACH ROW EXECUTE FUNCTION refuse();
SELECT is((SELECT documents_updated FROM diagsync.push('L')), 0, 'a push that stores nothing says so');
SELECT set_eq($$SELECT differs('L')$$, ARRAY['a update/-'], 'the change is still to be pushed');
DROP TRIGGER app ON diagsync_public.entity;
SELECT diagsync.push('L');

CREATE FUNCTION refuse_copy() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN
	IF NEW.id LIKE 'a-%' THEN RETURN NULL; END IF; RETURN NEW; END$$;
CREATE TRIGGER app BEFORE INSERT ON diagsync_local.entity FOR EACH ROW EXECUTE FUNCTION refuse_copy();
UPDATE diagsync_public.entity SET doc = '{"x": 11}' WHERE diagram_id = 'P' AND id = 'a';
UPDATE diagsync_local.entity SET doc = '{"x": 12}' WHERE diagram_id = 'L' AND id = 'a';
SELECT results_eq($$SELECT success, documents_updated, resolved, conflicts FROM diagsync.pull('L', on_conflict => 'both')$$,
	$$VALUES (false, 0, 0, 1)$$, 'a copy that cannot be made leaves the conflict');
SELECT is(doc_of('L', 'a'), '{"x": 12}', 'and the local version');
DROP TRIGGER app ON diagsync_local.entity;
SELECT diagsync.pull('L', on_conflict => 'public');

---- A trigger that replaces stamps, keys or times -----------------------------

CREATE FUNCTION keep_owner() RETURNS trigger LANGUAGE plpgsql AS $$DECLARE r record; BEGIN
	r := OLD; r.doc := NEW.doc; RETURN r; END$$;
CREATE TRIGGER keep_owner BEFORE UPDATE ON diagsync_public.entity FOR EACH ROW EXECUTE FUNCTION keep_owner();
SELECT diagsync.pull('M');
UPDATE diagsync_public.entity SET doc = '{"x": 13}' WHERE diagram_id = 'P' AND id = 'a';
SELECT set_has($$SELECT differs('M')$$, $$VALUES ('a -/update')$$, 'a row that a trigger makes from the old one is stamped all the same');
DROP TRIGGER keep_owner ON diagsync_public.entity;

CREATE FUNCTION move_id() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN NEW.id := 'elsewhere'; RETURN NEW; END$$;
CREATE TRIGGER move_id BEFORE UPDATE ON diagsync_local.entity FOR EACH ROW EXECUTE FUNCTION move_id();
SELECT throws_ok($$UPDATE diagsync_local.entity SET doc = '{}' WHERE diagram_id = 'L' AND id = 'a'$$, '0A000', NULL, 'a trigger cannot change a key');
DROP TRIGGER move_id ON diagsync_local.entity;

CREATE FUNCTION set_time() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN NEW.modified_at := clock_timestamp(); RETURN NEW; END$$;
CREATE TRIGGER set_time BEFORE INSERT ON diagsync_local.entity FOR EACH ROW EXECUTE FUNCTION set_time();
SELECT diagsync.put('L', '[{"id": "timed"}]');
SELECT set_has($$SELECT differs('L')$$, $$VALUES ('timed insert/-')$$, 'a row whose time a trigger sets is an edit all the same');
DROP TRIGGER set_time ON diagsync_local.entity;

---- Triggers that edit elsewhere, and functions in WHEN -----------------------

SELECT diagsync.create_diagram('other', id => 'L2');
SELECT diagsync.put('L2', '[{"id": "z", "x": 1}]');
SELECT diagsync.share('L2', 'P2');
CREATE FUNCTION edit_elsewhere() RETURNS boolean LANGUAGE plpgsql AS $$BEGIN
	UPDATE diagsync_local.entity SET doc = '{"x": 2}' WHERE diagram_id = 'L2' AND id = 'z'; RETURN false; END$$;
CREATE TRIGGER app BEFORE UPDATE ON diagsync_local.entity FOR EACH ROW WHEN (NEW.diagram_id = 'M' AND edit_elsewhere()) EXECUTE FUNCTION add_property();
SELECT diagsync.pull('M');
SELECT is(base_of('L2', 'z'), '{"x": 1, "id": "z"}', 'what a function in WHEN edits during a sync has its records');
DROP TRIGGER app ON diagsync_local.entity;

UPDATE diagsync_public.entity SET doc = doc || '{"again": 1}' WHERE diagram_id = 'P' AND id = 'a';
SELECT diagsync.push('L2');
CREATE FUNCTION edit_once() RETURNS boolean LANGUAGE plpgsql AS $$BEGIN
	IF coalesce(current_setting('app.once', true), '') = '' THEN
		PERFORM set_config('app.once', 'done', true);
		UPDATE diagsync_local.entity SET doc = '{"x": 3}' WHERE diagram_id = 'L2' AND id = 'z';
	END IF;
	RETURN false; END$$;
CREATE TRIGGER a_when BEFORE UPDATE ON diagsync_local.entity FOR EACH STATEMENT WHEN (edit_once()) EXECUTE FUNCTION add_property();
SELECT diagsync.pull('M');
SELECT is(base_of('L2', 'z'), '{"x": 2}', 'the same before each statement');
DROP TRIGGER a_when ON diagsync_local.entity;

CREATE FUNCTION drop_it() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN PERFORM diagsync.drop_diagram('P'); RETURN NULL; END$$;
CREATE TRIGGER app AFTER INSERT ON diagsync_public.entity FOR EACH STATEMENT EXECUTE FUNCTION drop_it();
SELECT throws_ok($$SELECT diagsync.push('L')$$, '55006', NULL, 'a diagram cannot be dropped in the middle of a sync');
DROP TRIGGER app ON diagsync_public.entity;

CREATE FUNCTION sync_it() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN PERFORM diagsync.pull('M'); RETURN NULL; END$$;
CREATE TRIGGER app AFTER UPDATE ON diagsync.directory FOR EACH STATEMENT EXECUTE FUNCTION sync_it();
SELECT throws_ok($$SELECT diagsync.push('L')$$, '55006', NULL, 'nor does another sync begin there, though no entity is being written');
DROP TRIGGER app ON diagsync.directory;

CREATE FUNCTION edit_public() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN
	IF pg_trigger_depth() > 1 THEN RETURN NULL; END IF;
	UPDATE diagsync_public.entity SET doc = doc || '{"note": 1}' WHERE diagram_id = 'P' AND id = 'f'; RETURN NULL; END$$;
CREATE TRIGGER app AFTER UPDATE ON diagsync.directory FOR EACH STATEMENT EXECUTE FUNCTION edit_public();
SELECT diagsync.push('L');
SELECT set_has($$SELECT differs('L')$$, $$VALUES ('f -/update')$$, 'what a trigger of the directory edits in the shared copy is seen');
DROP TRIGGER app ON diagsync.directory;

---- Constraints of applications -----------------------------------------------

CREATE UNIQUE INDEX one_name ON diagsync_local.entity (diagram_id, (doc->>'name')) WHERE doc ? 'name';
INSERT INTO diagsync_public.entity (diagram_id, id, doc) VALUES ('P', 'n1', '{"name": "n"}'), ('P', 'n2', '{"name": "n"}');
SELECT is((SELECT (success, documents_updated, refused->0->>'sqlstate')::text FROM diagsync.pull('L')), '(f,0,23505)', 'an entity that a unique index of an application refuses is a conflict, not passed over');
DROP INDEX diagsync_local.one_name;

---- One that would fire last --------------------------------------------------

CREATE FUNCTION keep_revision() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN NEW.rev := OLD.rev; RETURN NEW; END$$;
CREATE TRIGGER "~last" BEFORE UPDATE ON diagsync_local.entity FOR EACH ROW EXECUTE FUNCTION keep_revision();
SELECT throws_ok($$UPDATE diagsync_local.entity SET doc = doc || '{"y": 1}' WHERE diagram_id = 'L'$$, '55000', NULL, 'one that fires after the revision is stamped is refused');
DROP TRIGGER "~last" ON diagsync_local.entity;

---- One that fails ------------------------------------------------------------

CREATE FUNCTION refuse_all() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE 'no'; END$$;
CREATE TRIGGER app BEFORE INSERT ON diagsync_local.entity FOR EACH ROW EXECUTE FUNCTION refuse_all();
SELECT throws_ok($$SELECT diagsync.put('L', '[{"id": "failed"}]')$$, 'P0001', NULL, 'a trigger that fails makes put fail');
DROP TRIGGER app ON diagsync_local.entity;
CREATE ROLE regress_another;
SELECT diagsync.grant_usage('regress_another');
SET LOCAL ROLE regress_another;
SELECT diagsync.principal() \gset
RESET ROLE;
SELECT is(:'principal'::text, 'role:regress_another', '... and leaves nothing behind of who called it');

---- Moving and dropping -------------------------------------------------------

CREATE TRIGGER app BEFORE INSERT ON diagsync_private.entity FOR EACH ROW WHEN (NEW.id = 'a') EXECUTE FUNCTION refuse();
SELECT throws_ok($$SELECT diagsync.set_storage_type('P', 'private')$$, '27000', NULL, 'a move that would lose an entity is refused');
DROP TRIGGER app ON diagsync_private.entity;
SELECT diagsync.pull('L'); SELECT diagsync.push('L');
CREATE TRIGGER app BEFORE INSERT ON diagsync_private.entity FOR EACH ROW WHEN (NEW.id = 'a') EXECUTE FUNCTION add_property();
SELECT diagsync.set_storage_type('P', 'private');
SELECT set_has($$SELECT differs('L')$$, $$VALUES ('a -/update')$$, 'what a move alters is a public change');
DROP TRIGGER app ON diagsync_private.entity;
CREATE TRIGGER app BEFORE DELETE ON diagsync_private.entity FOR EACH ROW EXECUTE FUNCTION refuse();
SELECT throws_ok($$SELECT diagsync.drop_diagram('P')$$, '27000', NULL, 'a diagram whose entities a trigger keeps is not dropped');

SELECT * FROM finish();
ROLLBACK;
