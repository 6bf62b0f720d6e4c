-- What foreign keys, rules and triggers add to diagsync's own commands, row by row:
-- base rows, tombstones, stamps.
BEGIN;
\ir ../../common/pgtap/helpers.sql
SET client_min_messages = error;
SELECT plan(19);

CREATE FUNCTION t.dead(diagram text) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(id, ' ' ORDER BY id) FROM diagsync_public.tombstone WHERE diagram_id = diagram $$;
CREATE FUNCTION t.both_say(link text) RETURNS boolean LANGUAGE sql AS $$ SELECT t.status(link) = (SELECT t.status(link) FROM diagsync.refresh(link)) $$;

---- A cascade into the same table, in the same statement ---------------------------

SELECT t.pair('l', 'p', '{"frame": {}, "child": {"parent": "frame"}, "leaf": {"parent": "child"}, "z": {"v": 1}}');
SELECT diagsync.clone('p', 'm');
ALTER TABLE diagsync_public.entity ADD COLUMN parent text COLLATE "C" GENERATED ALWAYS AS (doc->>'parent') STORED,
	ADD CONSTRAINT app FOREIGN KEY (diagram_id, parent) REFERENCES diagsync_public.entity ON DELETE CASCADE;
SELECT t.write('l', 'frame', NULL), t.write('l', 'z', NULL);
SELECT is((SELECT deleted FROM diagsync.push('l')), 2, 'a push deletes two entities');
SELECT is(t.docs('p'), '{}', '... and a foreign key the rest');
SELECT is(t.dead('p'), 'child frame leaf z', 'all have tombstones');
SELECT is(t.changes('l'), 'child:public:>delete: leaf:public:>delete:', 'what the key deleted is a public change to who pushed');
SELECT is((SELECT deleted FROM diagsync.pull('m')), 4, 'others get all of it');
SELECT diagsync.pull('l');
ALTER TABLE diagsync_public.entity DROP COLUMN parent;

SELECT t.pair('l2', 'p2', '{"frame": {}, "child": {"parent": "frame"}}');
ALTER TABLE diagsync_local.entity ADD COLUMN parent text COLLATE "C";
UPDATE diagsync_local.entity SET parent = 'frame' WHERE id = 'child' AND diagram_id = 'l2';
SELECT diagsync.push('l2');
ALTER TABLE diagsync_local.entity ADD CONSTRAINT app FOREIGN KEY (diagram_id, parent) REFERENCES diagsync_local.entity ON DELETE CASCADE;
SELECT t.write('p2', 'frame', NULL);
SELECT is((SELECT deleted FROM diagsync.pull('l2')), 1, 'a pull deletes an entity');
SELECT is(t.changes('l2'), 'child:local:delete>:', 'what a foreign key deletes with it is a local change');
SELECT isnt((SELECT changed_at FROM diagsync_local.base WHERE diagram_id = 'l2' AND id = 'child'), NULL, '... a deletion of which the time is known');
SELECT is((SELECT deleted FROM diagsync.push('l2')), 1, '... that is pushed');
ALTER TABLE diagsync_local.entity DROP CONSTRAINT app;

---- SET NULL: another statement, which is closed -----------------------------------

SELECT t.pair('l3', 'p3', '{"frame": {}, "child": {"parent": "frame"}}');
UPDATE diagsync_local.entity SET parent = 'frame' WHERE id = 'child' AND diagram_id = 'l3';
ALTER TABLE diagsync_local.entity ADD CONSTRAINT app FOREIGN KEY (diagram_id, parent) REFERENCES diagsync_local.entity ON DELETE SET NULL (parent);
SELECT diagsync.push('l3');
SELECT t.write('p3', 'frame', NULL);
SELECT is((SELECT deleted FROM diagsync.pull('l3')), 1, 'a pull deletes what a foreign key SET NULL refers to');
SELECT lives_ok($$ SELECT diagsync.push('l3'), diagsync.pull('l3') $$, 'no statement is left open');
SELECT is(t.both_say('l3'), true, 'and the status is right');
ALTER TABLE diagsync_local.entity DROP COLUMN parent;

---- A row twice in one statement ---------------------------------------------------

-- One statement deletes a and d; a trigger makes d again, as a child of a, and the
-- cascade deletes that.
SELECT t.pair('l4', 'p4', '{"a": {}, "d": {}}');
ALTER TABLE diagsync_public.entity ADD COLUMN parent text COLLATE "C";
ALTER TABLE diagsync_public.entity ADD CONSTRAINT app FOREIGN KEY (diagram_id, parent) REFERENCES diagsync_public.entity ON DELETE CASCADE
	DEFERRABLE INITIALLY DEFERRED;
CREATE FUNCTION t.again() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN
	IF OLD.id = 'a' THEN
		INSERT INTO diagsync_public.entity (diagram_id, id, doc, parent) VALUES ('p4', 'd', '{"again": 1}', 'a');
	END IF;
	RETURN NULL; END$$;
CREATE TRIGGER "A app" AFTER DELETE ON diagsync_public.entity FOR EACH ROW EXECUTE FUNCTION t.again();
SELECT lives_ok($$ DELETE FROM diagsync_public.entity WHERE diagram_id = 'p4' $$, 'a row that is deleted, made again, and deleted by a cascade');
SET CONSTRAINTS ALL IMMEDIATE;
SELECT is(t.docs('p4') || jsonb_build_object('dead', t.dead('p4')), '{"dead": "a d"}', 'all that is gone has its tombstone');
SELECT is(t.both_say('l4'), true, 'and the status is right');
ALTER TABLE diagsync_public.entity DROP COLUMN parent;
DROP TRIGGER "A app" ON diagsync_public.entity;

---- Rules and triggers within a command --------------------------------------------

SELECT t.pair('l5', 'p5', '{"a": {"v": 1}, "b": {"v": 1}, "kept": {"v": 1}}');
CREATE RULE app AS ON DELETE TO diagsync_local.entity DO ALSO
	UPDATE diagsync_local.entity SET doc = '{"v": 2}' WHERE diagram_id = old.diagram_id AND id = 'kept';
SELECT t.write('p5', 'a', NULL);
SELECT diagsync.pull('l5');
SELECT is(t.changes('l5'), 'kept:local:update>:', 'what a rule does to another row, by another operation, is a local change');
DROP RULE app ON diagsync_local.entity;
SELECT diagsync.push('l5');
CREATE RULE app AS ON UPDATE TO diagsync_local.entity DO ALSO
	UPDATE diagsync_public.entity SET doc = '{"v": 3}' WHERE diagram_id = 'p5' AND id = 'kept';
SELECT t.write('p5', 'b', '{"v": 2}');
SELECT diagsync.pull('l5');
SELECT is(t.changes('l5'), 'kept:public:>update:', 'what a rule does to another table is an edit there');
DROP RULE app ON diagsync_local.entity;
SELECT diagsync.pull('l5');

CREATE FUNCTION t.other_id() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN
	NEW.id := NEW.id || ' here'; RETURN NEW; END$$;
CREATE TRIGGER app BEFORE INSERT ON diagsync_local.entity FOR EACH ROW WHEN (NEW.id = 'new') EXECUTE FUNCTION t.other_id();
SELECT t.write('p5', 'new', '{"v": 1}');
SELECT diagsync.pull('l5');
SELECT is(t.changes('l5'), 'new:public:>insert: new here:local:insert>:', 'an entity that a trigger gives another id is a local insert');
DROP TRIGGER app ON diagsync_local.entity;

CREATE FUNCTION t.keep() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN NULL; END$$;
CREATE TRIGGER "~late" BEFORE DELETE ON diagsync_local.entity FOR EACH ROW WHEN (OLD.id = 'b') EXECUTE FUNCTION t.keep();
SELECT t.write('p5', 'b', NULL), t.write('p5', 'kept', NULL);
SELECT t.refuses($$ SELECT diagsync.pull('l5') $$, '27000', 'not every row', 'a trigger that keeps a row after diagsync''s has fired for it');

SELECT * FROM finish();
ROLLBACK;
