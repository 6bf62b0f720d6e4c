-- Big deletions are asked for: a sync that would delete at least ten entities and
-- more than diagsync.max_deleted_fraction of the end that it writes writes nothing.
BEGIN;
\ir ../../common/pgtap/helpers.sql
SELECT plan(82);

-- A pair of so many entities, named from 1.
CREATE FUNCTION t.many(l text, n int) RETURNS text LANGUAGE sql AS $$
	SELECT t.pair(l, 'far ' || l, (SELECT jsonb_object_agg(i, jsonb_build_object('n', i)) FROM generate_series(1, n) AS i)) $$;
CREATE FUNCTION t.delete(diagram text, n int) RETURNS void LANGUAGE sql AS $$
	SELECT diagsync.remove(diagram, (SELECT array_agg(i::text) FROM generate_series(1, n) AS i)) $$;
CREATE FUNCTION t.shows(r diagsync.sync_result) RETURNS text LANGUAGE sql AS $$
	SELECT t.show(r) || ' refused ' || (r).refused_deletions $$;
CREATE FUNCTION t.count(diagram text) RETURNS int LANGUAGE sql AS $$
	SELECT count(*)::int FROM diagsync.entity WHERE diagram_id = diagram $$;

-- ---- What is too much ------------------------------------------------------------------

-- So many of so many, by either direction, in batches of any size.
CREATE FUNCTION t.tried(l text, direction text, batch int, had int, deleted int) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	dry text;
	have text;
BEGIN
	PERFORM set_config('diagsync.batch_size', batch::text, true);
	PERFORM t.many(l, had);
	PERFORM t.delete(CASE direction WHEN 'push' THEN l ELSE 'far ' || l END, deleted);
	IF direction = 'push' THEN
		dry := t.shows(diagsync.push(l, dry_run => true));
		have := t.shows(diagsync.push(l));
	ELSE
		dry := t.shows(diagsync.pull(l, dry_run => true));
		have := t.shows(diagsync.pull(l));
	END IF;
	PERFORM set_config('diagsync.batch_size', '1000', true);
	IF dry <> have THEN
		RETURN format('%s, but the dry run said %s', have, dry);
	END IF;
	RETURN have || ', left ' || t.count(CASE direction WHEN 'push' THEN 'far ' || l ELSE l END);
END $$;
SELECT is(t.tried(format('%s %s %s %s', direction, batch, had, deleted), direction, batch, had, deleted), want,
	format('%s of %s deleted, %s, in batches of %s', deleted, had, direction, batch))
  FROM (VALUES
	(12, 8, 'yes +0 ~0 -8 0/0 refused 0, left 4'),
	(9, 9, 'yes +0 ~0 -9 0/0 refused 0, left 0'),
	(10, 10, 'no +0 ~0 -0 0/0 refused 10, left 10'),
	(19, 10, 'no +0 ~0 -0 0/0 refused 10, left 19'),
	(20, 10, 'yes +0 ~0 -10 0/0 refused 0, left 10'),
	(21, 10, 'yes +0 ~0 -10 0/0 refused 0, left 11'),
	(60, 31, 'no +0 ~0 -0 0/0 refused 31, left 60'),
	(60, 30, 'yes +0 ~0 -30 0/0 refused 0, left 30'),
	(60, 60, 'no +0 ~0 -0 0/0 refused 60, left 60')) AS c (had, deleted, want),
	unnest('{push,pull}'::text[]) AS direction, unnest('{1,7,1000}'::int[]) AS batch ORDER BY had, deleted, direction, batch;

-- ---- How it is allowed -------------------------------------------------------------------

SELECT t.many('l', 20), t.delete('l', 20), t.write('l', 'new', '{}');
SELECT t.state() AS before \gset
SELECT is(t.shows(diagsync.push('l')), 'no +0 ~0 -0 0/0 refused 20', 'a wrong WHERE: the push does nothing, with inserts or without');
SELECT is(t.count('far l'), 20, '... all is there');
SELECT is(t.status('l'), 'pending 21/0/0', '... and still to be pushed');
SELECT results_eq($$SELECT action, success, deleted, refused_deletions FROM diagsync.sync_log WHERE local_id = 'l' AND action = 'push'$$,
	$$VALUES ('push', false, 0, 20)$$, '... the log says so');
SAVEPOINT s;
SELECT is(t.shows(diagsync.push('l', allow_deletions => true, dry_run => true)), 'yes +1 ~0 -20 0/0 refused 0', 'a dry run with allow_deletions');
SELECT is(t.shows(diagsync.push('l', allow_deletions => true)), 'yes +1 ~0 -20 0/0 refused 0', '... and the call');
SELECT is(t.docs('far l'), '{"new": {}}', '... which deletes them');
ROLLBACK TO s;
SELECT plan AS plan FROM diagsync.push('l', dry_run => true) \gset
SELECT is((diagsync.push('l', dry_run => true, allow_deletions => true)).plan, :'plan', 'the plan is the same, allowed or not');
SELECT t.write('l', 'new', '{"v": 2}');
SELECT is(t.shows(diagsync.push('l', expected_plan => :'plan')), 'no +0 ~0 -0 0/0 refused 20', 'another plan than the expected one allows nothing');
SELECT t.write('l', 'new', '{}');
SELECT is(t.shows(diagsync.push('l', expected_plan => :'plan')), 'yes +1 ~0 -20 0/0 refused 0', 'the expected plan allows what its dry run showed');
SELECT is(t.docs('far l'), '{"new": {}}', '... and deletes it');
SELECT throws_ok($$SELECT diagsync.push('l', allow_deletions => NULL)$$, '22004', NULL, 'allow_deletions is not null');

-- In batches, with what was written before rolled back.
SELECT t.many('m', 60), t.delete('m', 60), t.write('m', '0', '{}'), t.write('m', '99', '{}');
SET LOCAL diagsync.batch_size = 5;
SELECT is(t.shows(diagsync.push('m')), 'no +0 ~0 -0 0/0 refused 60', 'in batches');
SELECT is(t.count('far m'), 60, '... all is there');
SELECT plan AS plan FROM diagsync.push('m', dry_run => true) \gset
SELECT is(t.shows(diagsync.push('m', expected_plan => :'plan')), 'yes +2 ~0 -60 0/0 refused 0', '... until it is expected');
SET LOCAL diagsync.batch_size = 1000;

-- ---- The setting ------------------------------------------------------------------------------

SELECT is(current_setting('diagsync.max_deleted_fraction'), '0.5', 'more than half, unless set otherwise');
SELECT t.many('n', 100), t.delete('n', 20);
SET LOCAL diagsync.max_deleted_fraction = 0.19;
SELECT is(t.shows(diagsync.push('n', dry_run => true)), 'no +0 ~0 -0 0/0 refused 20', 'a smaller part');
SET LOCAL diagsync.max_deleted_fraction = 0.2;
SELECT is(t.shows(diagsync.push('n', dry_run => true)), 'yes +0 ~0 -20 0/0 refused 0', 'exactly that part');
SET LOCAL diagsync.max_deleted_fraction = 0;
SELECT is(t.shows(diagsync.push('n', dry_run => true)), 'no +0 ~0 -0 0/0 refused 20', 'none at all');
SELECT t.delete('n', 100);
SET LOCAL diagsync.max_deleted_fraction = 1;
SELECT is(t.shows(diagsync.push('n', dry_run => true)), 'yes +0 ~0 -100 0/0 refused 0', 'no limit');
SET LOCAL diagsync.max_deleted_fraction = 0.5;

-- ---- Conflicts -------------------------------------------------------------------------------------

-- A push may delete local entities, to settle conflicts.
SELECT t.many('o', 20);
SELECT t.write('o', i::text, '{"v": 2}') FROM generate_series(1, 15) AS i;
SELECT t.delete('far o', 15);
SELECT is(t.shows(diagsync.push('o')), 'no +0 ~0 -0 0/15 refused 0', 'a conflict comes first');
SELECT is(t.shows(diagsync.push('o', on_conflict => 'public')), 'no +0 ~0 -0 0/15 refused 15', 'a push that would empty the local end');
SELECT is(t.shows(diagsync.pull('o', on_conflict => 'public')), 'no +0 ~0 -0 0/15 refused 15', '... so would the pull');
SELECT is(t.count('o'), 20, '... nothing is deleted');
SELECT is(t.shows(diagsync.pull('o', on_conflict => 'public', allow_deletions => true)), 'yes +0 ~0 -15 15/0 refused 0', '... unless that is allowed');

-- ---- Copies that lost something, or all ---------------------------------------------------------------

-- Past the triggers nobody deletes: these are conflicts, whatever is allowed.
SELECT t.many('p', 30);
SELECT t.write('p', i::text, '{"v": 2}') FROM generate_series(1, 12) AS i;
SET LOCAL session_replication_role = replica;
DELETE FROM diagsync_local.entity WHERE diagram_id = 'p';
SET LOCAL session_replication_role = origin;
SELECT is(t.shows(diagsync.push('p', allow_deletions => true)), 'no +0 ~0 -0 0/12 refused 0', 'an emptied local copy sends no deletions');
SELECT diagsync.refresh('p');
SELECT is(t.shows(diagsync.push('p', on_conflict => 'local')), 'no +0 ~0 -0 0/30 refused 30', '... the rule local would delete all, so it is refused');
SELECT is(t.shows(diagsync.pull('p', on_conflict => 'public')), 'yes +30 ~0 -0 30/0 refused 0', '... the rule public brings all of them back');

SELECT * FROM finish();
ROLLBACK;
