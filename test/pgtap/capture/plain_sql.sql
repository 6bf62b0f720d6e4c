-- Plain SQL captures changes: INSERT, UPDATE, DELETE, ON CONFLICT, MERGE, CTEs,
-- COPY, several diagrams at once, savepoints.
BEGIN;
\ir ../../common/pgtap/helpers.sql
SELECT plan(60);

SELECT t.pair('l', 'p', '{"a": {"v": 1}, "b": {"v": 1}, "c": {"v": 1}, "d": {"v": 1}, "e": {"v": 1}}');
SELECT diagsync.clone('p', 'l2');
SAVEPOINT s;

-- ---- Each form, at the near end -----------------------------------------------------------------

INSERT INTO diagsync_local.entity (diagram_id, id, doc) VALUES ('l', 'x', '{}'), ('l', 'y', '{}');
SELECT is(t.changes('l'), 'x:local:insert>: y:local:insert>:', 'INSERT');
SELECT is(t.base('l'), '{"x": null, "y": null}', '... there was nothing before');
UPDATE diagsync_local.entity SET doc = '{"v": 2}' WHERE diagram_id = 'l' AND id IN ('x', 'a', 'b');
SELECT is(t.changes('l'), 'a:local:update>: b:local:update>: x:local:insert>: y:local:insert>:', 'UPDATE');
SELECT is(t.base('l'), '{"x": null, "y": null, "a": {"v": 1}, "b": {"v": 1}}', '... from what was there');
UPDATE diagsync_local.entity SET doc = '{"v": 3}' WHERE diagram_id = 'l' AND id = 'a';
SELECT is(t.base('l') -> 'a', '{"v": 1}', 'a second UPDATE keeps the first base');
SELECT t.pair('q', 'qp');
SELECT t.write('q', 'x', '{}'), t.write('qp', 'y', '{"v": 1}');
SELECT diagsync.pull('q');
UPDATE diagsync_local.entity SET doc = '{"v": 2}' WHERE diagram_id = 'q';
SELECT is(t.base('q'), '{"x": null, "y": {"v": 1}}', 'an UPDATE of one that was edited before, and one that was not');
DELETE FROM diagsync_local.entity WHERE diagram_id = 'l' AND id IN ('x', 'b', 'c');
SELECT is(t.changes('l'), 'a:local:update>: b:local:delete>: c:local:delete>: y:local:insert>:', 'DELETE');
SELECT is(t.base('l'), '{"x": null, "y": null, "a": {"v": 1}, "b": {"v": 1}, "c": {"v": 1}}', '... of what was there');
SELECT is(t.base('l2'), '{}', 'another diagram has none of it');
ROLLBACK TO s;

INSERT INTO diagsync_local.entity (diagram_id, id, doc) VALUES ('l', 'a', '{"v": 2}'), ('l', 'x', '{"v": 2}'), ('l', 'b', '{"v": 1}')
	ON CONFLICT (diagram_id, id) DO UPDATE SET doc = excluded.doc;
SELECT is(t.changes('l'), 'a:local:update>: x:local:insert>:', 'INSERT … ON CONFLICT DO UPDATE');
SELECT is(t.base('l') -> 'a', '{"v": 1}', '... from what was there');
INSERT INTO diagsync_local.entity (diagram_id, id, doc) VALUES ('l', 'a', '{"v": 9}'), ('l', 'z', '{"v": 9}') ON CONFLICT DO NOTHING;
SELECT is(t.changes('l'), 'a:local:update>: x:local:insert>: z:local:insert>:', 'INSERT … ON CONFLICT DO NOTHING');
SELECT is(t.docs('l') -> 'a', '{"v": 2}', '... does nothing where there is one');
INSERT INTO diagsync_local.entity AS e (diagram_id, id, doc) VALUES ('l', 'c', '{"v": 9}') ON CONFLICT (diagram_id, id) DO UPDATE SET doc = excluded.doc WHERE e.id <> 'c';
SELECT is(t.changes('l'), 'a:local:update>: x:local:insert>: z:local:insert>:', 'INSERT … ON CONFLICT DO UPDATE … WHERE that does not hold');
ROLLBACK TO s;

MERGE INTO diagsync_local.entity AS e USING (VALUES ('a', 'u'), ('b', 'd'), ('c', 'n'), ('x', 'u')) AS v (id, what) ON e.diagram_id = 'l' AND e.id = v.id
	WHEN MATCHED AND what = 'u' THEN UPDATE SET doc = '{"v": 2}'
	WHEN MATCHED AND what = 'd' THEN DELETE
	WHEN MATCHED THEN DO NOTHING
	WHEN NOT MATCHED THEN INSERT (diagram_id, id, doc) VALUES ('l', v.id, '{"v": 2}');
SELECT is(t.changes('l'), 'a:local:update>: b:local:delete>: x:local:insert>:', 'MERGE');
SELECT is(t.base('l'), '{"a": {"v": 1}, "b": {"v": 1}, "x": null}', '... with each base');
ROLLBACK TO s;

-- One command that deletes and inserts the same id, whichever trigger fires first.
WITH gone AS (DELETE FROM diagsync_local.entity WHERE diagram_id = 'l' AND id IN ('a', 'b') RETURNING diagram_id, id)
INSERT INTO diagsync_local.entity (diagram_id, id, doc) SELECT diagram_id, id, CASE id WHEN 'a' THEN '{"v": 2}' ELSE '{"v": 1}' END::jsonb FROM gone;
SELECT is(t.base('l'), '{"a": {"v": 1}, "b": {"v": 1}}', 'a CTE that deletes and inserts: the deleted version is the base');
SELECT is(t.changes('l'), 'a:local:update>:', '... and content decides');
ROLLBACK TO s;
WITH gone AS (DELETE FROM diagsync_local.entity WHERE diagram_id = 'l' AND id = 'a' RETURNING *),
	made AS (INSERT INTO diagsync_local.entity (diagram_id, id, doc) SELECT 'l', id, '{"v": 2}' FROM gone RETURNING *)
UPDATE diagsync_local.entity SET doc = '{"v": 2}' WHERE diagram_id = 'l' AND id = (SELECT CASE WHEN count(*) = 1 THEN 'b' END FROM made);
SELECT is(t.base('l'), '{"a": {"v": 1}, "b": {"v": 1}}', 'a CTE with all three');
SELECT is(t.changes('l'), 'a:local:update>: b:local:update>:', '... deleted and made anew is an update');
ROLLBACK TO s;
WITH one AS (UPDATE diagsync_local.entity SET doc = '{"v": 2}' WHERE diagram_id = 'l' AND id = 'a' RETURNING 1),
	two AS (UPDATE diagsync_public.entity SET doc = '{"v": 3}' WHERE diagram_id = 'p' AND id = 'b' RETURNING 1),
	three AS (DELETE FROM diagsync_public.entity WHERE diagram_id = 'p' AND id = 'c' RETURNING 1)
INSERT INTO diagsync_local.entity (diagram_id, id, doc) SELECT 'l2', 'x', '{}';
SELECT is(t.changes('l'), 'a:local:update>: b:public:>update: c:public:>delete:', 'a command that writes both ends');
SELECT is(t.changes('l2'), 'b:public:>update: c:public:>delete: x:local:insert>:', '... and another diagram');
ROLLBACK TO s;

-- COPY, as owner or superuser.
COPY diagsync_local.entity (diagram_id, id, doc) FROM stdin;
l	x	{"v": 2}
l2	y	{"v": 2}
l	tab\there	{"text": "new\\nline"}
\.
SELECT is(t.changes('l'), E'tab\there:local:insert>: x:local:insert>:', 'COPY FROM');
SELECT is(t.changes('l2'), 'y:local:insert>:', '... into several diagrams');
SELECT is(jsonb_build_array(modified_by, modified_at BETWEEN now() AND clock_timestamp(), rev), jsonb_build_array('role:' || current_user, true, pg_current_xact_id()::text::bigint), '... stamps its rows')
  FROM diagsync_local.entity WHERE diagram_id = 'l' AND id = 'x';
COPY diagsync_public.entity (diagram_id, id, doc) FROM stdin;
p	z	{"v": 3}
\.
SELECT is(t.changes('l2'), 'y:local:insert>: z:public:>insert:', 'COPY into the shared copy');
ROLLBACK TO s;

-- Several diagrams in one statement, linked or not.
SELECT t.make('u', '{"a": {}}');
UPDATE diagsync_local.entity SET doc = '{"all": true}';
SELECT is((SELECT jsonb_object_agg(id, t.base(id)) FROM diagsync.directory WHERE storage_type = 'local' AND id IN ('l', 'l2', 'u')),
	'{"l": {"a": {"v": 1}, "b": {"v": 1}, "c": {"v": 1}, "d": {"v": 1}, "e": {"v": 1}}, "l2": {"a": {"v": 1}, "b": {"v": 1}, "c": {"v": 1}, "d": {"v": 1}, "e": {"v": 1}}, "u": {}}',
	'one UPDATE of every local diagram');
DELETE FROM diagsync_local.entity;
SELECT is(t.status('l') || ', ' || t.status('l2') || ', ' || t.status('u'), 'pending 5/0/0, pending 5/0/0, unlinked', 'one DELETE of everything');
SELECT is(t.base('l') = t.base('l2') AND t.base('u') = '{}', true, '... with the bases of the linked ones');
ROLLBACK TO s;
UPDATE diagsync_local.entity SET doc = '{"v": 2}' WHERE false;
DELETE FROM diagsync_local.entity WHERE false;
INSERT INTO diagsync_local.entity (diagram_id, id, doc) SELECT 'nix', 'x', '{}' WHERE false;
SELECT is(t.status('l'), 'in_sync 0/0/0', 'statements without a row');

-- Only the bookkeeping of what was edited.
UPDATE diagsync_local.entity SET doc = doc WHERE diagram_id = 'l';
SELECT is(t.status('l'), 'in_sync 0/0/0', 'an UPDATE that changes nothing is no change');
SELECT is(t.show(diagsync.push('l')), 'yes +0 ~0 -0 0/0', '... nothing is pushed');
SELECT is(t.base('l'), '{}', '... and no base stays');
UPDATE diagsync_public.entity SET doc = doc WHERE diagram_id = 'p';
SELECT is(t.status('l'), 'in_sync 0/0/0', '... in the shared copy neither');
ROLLBACK TO s;

-- ---- Each form, in the shared copy ---------------------------------------------------------------------

INSERT INTO diagsync_public.entity (diagram_id, id, doc) VALUES ('p', 'x', '{}'), ('p', 'a', '{"v": 3}') ON CONFLICT (diagram_id, id) DO UPDATE SET doc = excluded.doc;
MERGE INTO diagsync_public.entity AS e USING (VALUES ('b', 'u'), ('c', 'd'), ('y', 'u')) AS v (id, what) ON e.diagram_id = 'p' AND e.id = v.id
	WHEN MATCHED AND what = 'u' THEN UPDATE SET doc = '{"v": 3}'
	WHEN MATCHED THEN DELETE
	WHEN NOT MATCHED THEN INSERT (diagram_id, id, doc) VALUES ('p', v.id, '{"v": 3}');
WITH gone AS (DELETE FROM diagsync_public.entity WHERE diagram_id = 'p' AND id IN ('d', 'e') RETURNING diagram_id, id)
INSERT INTO diagsync_public.entity (diagram_id, id, doc) SELECT diagram_id, id, '{"v": 3}' FROM gone WHERE id = 'e';
SELECT is(t.changes('l'), 'a:public:>update: b:public:>update: c:public:>delete: d:public:>delete: e:public:>update: x:public:>insert: y:public:>insert:', 'all forms are public changes');
SELECT is(t.changes('l2'), t.changes('l'), '... for each link');
SELECT set_has($$ SELECT id::text FROM diagsync_public.tombstone WHERE diagram_id = 'p' $$, $$ VALUES ('c'), ('d') $$, 'deletions have tombstones');
SELECT is((SELECT count(DISTINCT rev) FROM diagsync_public.entity WHERE diagram_id = 'p'), 1::bigint, 'revisions are of the transaction')  ;
SELECT is(t.show(diagsync.pull('l')), 'yes +2 ~3 -2 0/0', 'a pull brings them all');
SELECT is(t.docs('l'), t.docs('p'), 'both ends agree');
ROLLBACK TO s;

-- What a row was before counts, not what the statement says of rev and time.
UPDATE diagsync_local.entity SET doc = '{"v": 2}', rev = 1, modified_at = '2000-01-01Z', modified_by = 'role:nobody' WHERE diagram_id = 'l' AND id = 'a';
SELECT is(jsonb_build_array(modified_by, modified_at BETWEEN now() AND clock_timestamp(), rev), jsonb_build_array('role:' || current_user, true, pg_current_xact_id()::text::bigint), 'an UPDATE cannot set the stamps')
  FROM diagsync_local.entity WHERE diagram_id = 'l' AND id = 'a';
UPDATE diagsync_public.entity SET doc = '{"v": 3}', rev = 1 WHERE diagram_id = 'p' AND id = 'b';
SELECT is(t.changes('l'), 'a:local:update>: b:public:>update:', 'nor hide a change');
ROLLBACK TO s;

-- ---- Savepoints --------------------------------------------------------------------------------------

SELECT t.write('l', 'a', '{"v": 2}');
SAVEPOINT inner_one;
SELECT t.write('l', 'b', '{"v": 2}'), t.write('p', 'c', NULL), t.write('l', 'a', '{"v": 3}');
SELECT is(t.changes('l'), 'a:local:update>: b:local:update>: c:public:>delete:', 'in a savepoint');
ROLLBACK TO inner_one;
SELECT is(t.changes('l'), 'a:local:update>:', 'rolled back');
SELECT is(t.base('l'), '{"a": {"v": 1}}', '... with its records');
SELECT t.error($$ INSERT INTO diagsync_local.entity (diagram_id, id, doc) VALUES ('l', 'new', '{}'), ('l', 'b', '{}') $$) AS error \gset
SELECT matches(:'error'::text, '^23505', 'a statement that fails half way');
SELECT is(t.changes('l'), 'a:local:update>:', '... leaves no trace');
SELECT is(t.show(diagsync.push('l')), 'yes +0 ~1 -0 0/0', '... and is not taken for one that still runs');
SELECT t.error($$ INSERT INTO diagsync_local.entity (diagram_id, id, doc) VALUES ('nix', 'a', '{}') $$);
SELECT is(t.show(diagsync.pull('l')), 'yes +0 ~0 -0 0/0', 'nor is one that we refused');
DECLARE c CURSOR FOR SELECT id FROM diagsync_local.entity WHERE diagram_id = 'l' ORDER BY id FOR UPDATE;
MOVE 2 IN c;
UPDATE diagsync_local.entity SET doc = '{"v": 4}' WHERE CURRENT OF c;
DELETE FROM diagsync_local.entity WHERE CURRENT OF c;
CLOSE c;
SELECT is(t.changes('l'), 'b:local:delete>:', 'WHERE CURRENT OF');
ROLLBACK TO s;

-- Prepared statements and cached plans see each change of link.
PREPARE edit(text, text, jsonb) AS UPDATE diagsync_local.entity SET doc = $3 WHERE diagram_id = $1 AND id = $2;
SELECT diagsync.unlink('l2');
EXECUTE edit('l2', 'a', '{"v": 2}');
SELECT is(t.base('l2'), '{}', 'unlinked: no base');
SELECT diagsync.link('l2', 'p');
EXECUTE edit('l2', 'b', '{"v": 2}');
SELECT is(t.base('l2') -> 'b', '{"v": 1}', 'linked again: a base');
EXECUTE edit('l', 'b', '{"v": 2}');
SELECT is(t.changes('l'), 'b:local:update>:', 'each diagram by its own link');
SELECT diagsync.drop_diagram('p');
EXECUTE edit('l', 'c', '{"v": 2}');
SELECT is(t.base('l'), '{}', 'after the shared copy is dropped: no base');
DEALLOCATE edit;
ROLLBACK TO s;

-- Writes to base and tombstones by hand cannot invent what content denies.
INSERT INTO diagsync_local.base (diagram_id, id, doc) VALUES ('l', 'a', '{"v": 1}'), ('l', 'nix', NULL);
INSERT INTO diagsync_public.tombstone (diagram_id, id, rev) VALUES ('p', 'a', 3), ('p', 'never', 3);
SELECT is(t.status('l'), 'in_sync 0/0/0', 'a hint too many changes nothing');
SELECT is(t.show(diagsync.pull('l')), 'yes +0 ~0 -0 0/0', '... for a pull');
SELECT is(t.show(diagsync.push('l')), 'yes +0 ~0 -0 0/0', '... for a push');
SELECT is(t.base('l'), '{}', '... and goes with the sync');

-- Writing through the view is not offered.
SELECT matches(t.error($$ INSERT INTO diagsync.entity (diagram_id, id, doc) VALUES ('l', 'x', '{}') $$), '^(55000|42809|0A000)', 'diagsync.entity is for reading');
SELECT is(t.status('l'), 'in_sync 0/0/0', 'nothing happened');

SELECT * FROM finish();
ROLLBACK;
