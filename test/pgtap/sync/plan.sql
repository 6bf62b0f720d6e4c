-- dry_run and expected_plan: what would be done, and then that or nothing.
-- (include/cells.sql compares every single cell.)
BEGIN;
\ir ../../common/pgtap/helpers.sql
SELECT plan(79);

-- A pair with something of everything: changes of each side, equal ones, and
-- three conflicts.
CREATE FUNCTION t.busy(local text, public text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM t.pair(local, public, '{"lu": {"v": 1}, "ld": {"v": 1}, "pu": {"v": 1}, "pd": {"v": 1}, "same": {"v": 1},
		"c1": {"v": 1}, "c2": {"v": 1}, "c3": {"v": 1}, "both": {"v": 1}, "z": {"v": 1}}');
	PERFORM t.write(local, id, doc) FROM (VALUES ('li', '{"v": 2}'::jsonb), ('lu', '{"v": 2}'), ('ld', NULL), ('same', '{"v": 5}'),
		('c1', '{"v": 2}'), ('c2', NULL), ('c3', '{"v": 2}')) AS v (id, doc);
	PERFORM t.write(public, id, doc) FROM (VALUES ('pi', '{"v": 3}'::jsonb), ('pu', '{"v": 3}'), ('pd', NULL), ('same', '{"v": 5}'),
		('c1', '{"v": 3}'), ('c2', '{"v": 3}'), ('c3', NULL)) AS v (id, doc);
	PERFORM t.edited(local, 'c1', '2020-01-02Z'), t.edited(public, 'c1', '2020-01-01Z');
END $$;

-- A push or pull by name.
CREATE FUNCTION t.sync(direction text, local text, rule text, dry_run boolean DEFAULT false, plan text DEFAULT NULL)
RETURNS diagsync.sync_result LANGUAGE plpgsql AS $$
BEGIN
	IF direction = 'push' THEN
		RETURN diagsync.push(local, NULL, rule, dry_run, plan);
	END IF;
	RETURN diagsync.pull(local, NULL, rule, dry_run, plan);
END $$;

CREATE TABLE t.way (n int GENERATED ALWAYS AS IDENTITY, direction text, rule text, local text, public text, dry diagsync.sync_result, again diagsync.sync_result,
	before text, between text);
INSERT INTO t.way (direction, rule)
SELECT direction, rule FROM unnest('{push,pull}'::text[]) AS direction,
	unnest('{abort,skip,local,public,both,newest}'::text[]) AS rule;
UPDATE t.way SET local = 'l' || n, public = 'p' || n;
SELECT count(t.busy(local, public)::text) FROM t.way;
SELECT is(t.status('l1'), 'conflict 6/6/3', 'what the dry runs see');
UPDATE t.way SET before = t.state();
UPDATE t.way SET dry = t.sync(direction, local, rule, true);
UPDATE t.way SET again = t.sync(direction, local, rule, true);
UPDATE t.way SET between = t.state();

SELECT is(between, before, format('%s, %s: a dry run writes nothing', direction, rule)) FROM t.way ORDER BY n;
SELECT is(again, dry, format('%s, %s: it can be repeated', direction, rule)) FROM t.way ORDER BY n;
SELECT is((SELECT count(DISTINCT (dry).plan) FROM t.way), 12::bigint, 'twelve ways have twelve plans');

-- ---- That or nothing ------------------------------------------------------------

-- The plan of another way is not carried out, by any of them.
SELECT is_empty($$ SELECT w.local, o.local FROM t.way AS w, t.way AS o, t.sync(w.direction, w.local, w.rule, false, (o.dry).plan) AS r
	WHERE w.n <> o.n AND (r.success OR r.plan IS DISTINCT FROM (w.dry).plan OR r.documents_updated <> (w.dry).documents_updated
		OR r.conflicts <> (w.dry).conflicts) $$, 'a plan of another direction, rule or diagram is not carried out');
SELECT is(t.state(), (SELECT before FROM t.way LIMIT 1), 'and nothing is written');
SELECT is(t.show(t.sync('push', 'l1', 'skip', false, 'no such plan')), 'no +1 ~1 -1 0/3', 'nor is nonsense, which is answered with the figures');
SELECT is(t.state(), (SELECT before FROM t.way LIMIT 1), '... and nothing is written');

-- A dry run with an expected plan.
SELECT is((t.sync('push', 'l3', 'local', true, (dry).plan)).success, true, 'a dry run can be asked whether a plan still holds') FROM t.way WHERE local = 'l3';
SELECT is((t.sync('push', 'l3', 'local', true, 'x')).success, false, '... or no more');
SELECT is(t.state(), (SELECT before FROM t.way LIMIT 1), '... and writes nothing');

-- The right one is, and all columns are as the dry run had them; the greatest
-- revision is that of this transaction anyway.
CREATE TABLE t.done AS SELECT n, t.sync(direction, local, rule, false, (dry).plan) AS result FROM t.way;
SELECT is(result, dry, format('%s, %s: done as the dry run said', direction, rule)) FROM t.way JOIN t.done USING (n) ORDER BY n;
SELECT is(t.show(dry), v.figures, format('%s, %s: which is right', direction, rule)) FROM t.way JOIN (VALUES
	(1, 'no +0 ~0 -0 0/3'), (2, 'no +1 ~1 -1 0/3'), (3, 'yes +2 ~2 -2 3/0'), (4, 'yes +1 ~1 -1 3/0'), (5, 'yes +3 ~1 -1 3/0'), (6, 'yes +1 ~2 -1 3/0'),
	(7, 'no +0 ~0 -0 0/3'), (8, 'no +1 ~1 -1 0/3'), (9, 'yes +1 ~1 -1 3/0'), (10, 'yes +2 ~2 -2 3/0'), (11, 'yes +3 ~2 -1 3/0'), (12, 'yes +2 ~1 -2 3/0'))
	AS v (n, figures) USING (n) ORDER BY n;

-- ---- After something else changed -------------------------------------------------

SELECT t.pair('l', 'p', '{"a": {"v": 1}, "b": {"v": 1}, "c": {"v": 1}}');
SELECT t.write('l', 'a', '{"v": 2}');
SELECT plan AS push FROM diagsync.push('l', dry_run => true) \gset
SELECT plan AS pull FROM diagsync.pull('l', dry_run => true) \gset

SELECT t.write('p', 'b', '{"v": 3}'), t.write('p', 'new', '{"v": 3}');
SELECT is(plan, :'push'::text, 'public changes that the push does not touch do not disturb its plan') FROM diagsync.push('l', dry_run => true);
SELECT isnt(plan, :'pull'::text, 'that of the pull they do') FROM diagsync.pull('l', dry_run => true);
SELECT t.state() AS before \gset
SELECT is(t.show(r), 'no +1 ~1 -0 0/0', 'an expected plan that no longer holds: the new figures') FROM diagsync.pull('l', expected_plan => :'pull') AS r;
SELECT is(t.state(), :'before', '... and nothing written');
SELECT is(r.plan, d.plan, '... and the new plan') FROM diagsync.pull('l', expected_plan => :'pull') AS r, diagsync.pull('l', dry_run => true) AS d;
SELECT is(t.show(diagsync.push('l', expected_plan => :'push')), 'yes +0 ~1 -0 0/0', 'the push is carried out');
SELECT is(t.docs('l') || '{"new": {"v": 3}, "b": {"v": 3}}', t.docs('p'), 'and leaves the public changes');

SELECT plan AS pull FROM diagsync.pull('l', dry_run => true) \gset
SELECT t.write('l', 'a', '{"v": 7}'), t.write('l', 'mine', '{"v": 7}');
SELECT is(plan, :'pull'::text, 'local changes that the pull does not touch do not disturb its plan') FROM diagsync.pull('l', dry_run => true);
SELECT t.write('l', 'b', '{"v": 8}');
SELECT is(t.show(diagsync.pull('l', expected_plan => :'pull')), 'no +0 ~0 -0 0/1', 'a conflict that came in between does');
SELECT t.write('l', 'b', '{"v": 1}');
SELECT is(t.show(diagsync.pull('l', expected_plan => :'pull')), 'yes +1 ~1 -0 0/0', 'and no more when the edit is undone');

-- A push whose document changed, by value.
SELECT diagsync.push('l');
SELECT t.write('l', 'c', '{"v": 5}');
SELECT plan AS push FROM diagsync.push('l', dry_run => true) \gset
SELECT t.write('l', 'c', '{"v": 6}');
SELECT is((diagsync.push('l', expected_plan => :'push')).success, false, 'another document is another plan');
SELECT t.write('l', 'c', '{"v": 5.0}');
SELECT is((diagsync.push('l', dry_run => true)).plan, :'push'::text, 'a document of the same value is not');
SELECT is(t.show(diagsync.push('l', expected_plan => :'push')), 'yes +0 ~1 -0 0/0', '... and is pushed');
SELECT is((diagsync.push('l')).plan, NULL, 'a call without either has no plan');

-- What a plan rests on, though another call would write the same.
SELECT t.pair('w', 'wp', '{"a": {"v": 1}}');
SELECT isnt((diagsync.push('w', dry_run => true)).plan, (diagsync.pull('w', dry_run => true)).plan, 'the plan of a push is none of a pull, even to do nothing');
SELECT t.write('w', 'a', '{"v": 2}'), t.write('wp', 'a', '{"v": 3}');
SELECT plan AS public FROM diagsync.pull('w', on_conflict => 'public', dry_run => true) \gset
SELECT t.write('w', 'a', '{"v": 4}');
SELECT is((diagsync.pull('w', on_conflict => 'public', expected_plan => :'public')).success, false, 'a local version that nobody was shown is not given up');
SELECT is(t.docs('w'), '{"a": {"v": 4}}', '... but kept');
SELECT plan AS local FROM diagsync.pull('w', on_conflict => 'local', dry_run => true) \gset
SELECT t.write('wp', 'a', '{"v": 5}');
SELECT isnt((diagsync.pull('w', on_conflict => 'local', dry_run => true)).plan, :'local'::text, 'nor is a public one');
SELECT t.edited('w', 'a', '2020-01-01Z'), t.edited('wp', 'a', '2020-01-02Z');
SELECT plan AS newest FROM diagsync.pull('w', on_conflict => 'newest', dry_run => true) \gset
SELECT plan AS skip FROM diagsync.pull('w', on_conflict => 'skip', dry_run => true) \gset
SELECT t.edited('w', 'a', '2020-01-03Z');
SELECT isnt((diagsync.pull('w', on_conflict => 'newest', dry_run => true)).plan, :'newest'::text, 'nor is the side that has become the newer one in a plan for the other');
SELECT diagsync.unlink('w'), diagsync.link('w', 'wp');
SELECT isnt((diagsync.pull('w', on_conflict => 'skip', dry_run => true)).plan, :'skip'::text, 'another base is another plan');

-- The same three versions, and another question.
SELECT t.pair('u', 'up', '{"a": {"v": 1}}');
SET LOCAL session_replication_role = replica;
DELETE FROM diagsync_local.entity WHERE diagram_id = 'u' AND id = 'a';
SET LOCAL session_replication_role = origin;
SELECT diagsync.refresh('u');
SELECT plan AS unknown FROM diagsync.push('u', on_conflict => 'local', dry_run => true) \gset
SELECT diagsync.resolve('u', 'a', 'local');
SELECT is((diagsync.push('u', on_conflict => 'local', expected_plan => :'unknown')).success, false, 'a row that was lost when the plan was made, and has been deleted since, is another plan');
SELECT is(t.docs('up'), '{"a": {"v": 1}}', '... and nothing is deleted');

SELECT * FROM finish();
ROLLBACK;
