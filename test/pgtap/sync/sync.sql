-- push and pull: what a sync moves, leaves and records. Every step is a
-- transaction of its own. (include/cells.sql has what becomes of each entity.)
\ir ../../common/pgtap/helpers.sql
SELECT plan(58);

SELECT t.pair('l', 'p', '{"a": {"v": 1}, "b": {"v": 1}, "c": {"v": 1}, "z": {"v": 1}}');
SELECT diagsync.clone('p', 'l2');

-- What is in the directory about a link.
CREATE FUNCTION t.link(local text) RETURNS diagsync.directory LANGUAGE sql AS $$
	SELECT d FROM diagsync.directory AS d WHERE id = local $$;
-- Where each row is stored, to say that it was not written again.
CREATE FUNCTION t.rows(diagram text) RETURNS jsonb LANGUAGE sql AS $$
	SELECT jsonb_object_agg(id, x) FROM (
		SELECT id, xmin::text || ctid::text AS x FROM diagsync_local.entity WHERE diagram_id = diagram
		UNION ALL SELECT id, xmin::text || ctid::text FROM diagsync_public.entity WHERE diagram_id = diagram) AS r $$;

-- ---- A push leaves public changes, a pull local ones -----------------------------------

SELECT t.write('l', 'a', '{"v": 2}'), t.write('l', 'new', '{"v": 2}');
SELECT t.write('p', 'b', '{"v": 3}'), t.write('p', 'c', NULL);
SELECT t.rows('l') AS l, t.rows('p') AS p \gset
SELECT is(t.show(diagsync.push('l')), 'yes +1 ~1 -0 0/0', 'a push sends the local changes');
SELECT is(t.docs('l'), '{"a": {"v": 2}, "b": {"v": 1}, "c": {"v": 1}, "new": {"v": 2}, "z": {"v": 1}}', 'and leaves the local copy');
SELECT is(t.rows('l'), :'l'::jsonb, 'not even writing its rows again');
SELECT is(t.docs('p'), '{"a": {"v": 2}, "b": {"v": 3}, "new": {"v": 2}, "z": {"v": 1}}', 'the shared copy has both');
SELECT is(t.rows('p') - 'a' - 'new', :'p'::jsonb - 'a', 'and what did not change was not written');
SELECT is(t.status('l'), 'pending 0/2/0', 'the public changes wait');
SELECT is(t.changes('l'), 'b:public:>update: c:public:>delete:', 'these');
SELECT is(t.show(diagsync.push('l')), 'yes +0 ~0 -0 0/0', 'a second push has nothing to do');
SELECT is(t.status('l'), 'pending 0/2/0', 'and they wait still');

SELECT t.write('l', 'z', '{"v": 2}');
SELECT is(t.show(diagsync.pull('l')), 'yes +0 ~1 -1 0/0', 'a pull takes them');
SELECT is(t.status('l'), 'pending 1/0/0', 'and leaves the local change');
SELECT is(t.docs('p') -> 'z', '{"v": 1}', 'which was not sent');
SELECT is(t.show(diagsync.pull('l')), 'yes +0 ~0 -0 0/0', 'a second pull has nothing to do');
SELECT is(t.show(diagsync.push('l')), 'yes +0 ~1 -0 0/0', 'until the push');
SELECT is(t.docs('l'), t.docs('p'), 'then both ends agree');
SELECT is(t.status('l'), 'in_sync 0/0/0', 'and status says so');
SELECT is(t.status('l2'), 'pending 0/5/0', 'another link has all of it to pull');
SELECT is(t.show(diagsync.pull('l2')), 'yes +1 ~3 -1 0/0', 'which it does');
SELECT is(t.docs('l2'), t.docs('p'), 'then all three agree');

-- ---- What a sync with nothing to do writes -----------------------------------------------

SELECT t.rows('l') AS l, t.rows('p') AS p \gset
SELECT last_pushed_at AS pushed, last_pulled_at AS pulled, seen::text AS seen, public_version AS version FROM t.link('l') \gset
SELECT is(t.show(diagsync.push('l')), 'yes +0 ~0 -0 0/0', 'nothing to push');
SELECT ok(last_pushed_at > :'pushed', 'last_pushed_at moves all the same') FROM t.link('l');
SELECT is(last_pulled_at, :'pulled', 'last_pulled_at does not') FROM t.link('l');
SELECT ok(pg_snapshot_xmax(seen) >= pg_snapshot_xmax(:'seen'), 'seen moves on') FROM t.link('l');
SELECT last_pushed_at AS pushed FROM t.link('l') \gset
SELECT is(t.show(diagsync.pull('l')), 'yes +0 ~0 -0 0/0', 'nothing to pull');
SELECT is(last_pushed_at, :'pushed', 'last_pushed_at stays') FROM t.link('l');
SELECT ok(last_pulled_at > :'pulled', 'last_pulled_at moves') FROM t.link('l');
SELECT is(last_synced_at, last_pulled_at, 'last_synced_at is the later one') FROM diagsync.status('l');
SELECT is(jsonb_build_array(t.rows('l'), t.rows('p')), jsonb_build_array(:'l'::jsonb, :'p'::jsonb), 'no entity was written');
SELECT is(public_version, :'version'::bigint, 'nor is there another public_version') FROM t.link('l');

-- A dry run and a failing plan move none of these.
SELECT t.state() AS before \gset
SELECT diagsync.push('l', dry_run => true), diagsync.pull('l', dry_run => true), diagsync.pull('l', expected_plan => 'x');
SELECT is(t.state(), :'before', 'a dry run and a plan that does not hold move nothing');
-- Nor does a call that aborts.
SELECT t.write('l', 'a', '{"v": 5}'), t.write('p', 'a', '{"v": 6}'), t.write('l', 'b', '{"v": 5}'), t.write('p', 'z', '{"v": 6}');
SELECT t.state() AS before \gset
SELECT is(t.show(diagsync.push('l')), 'no +0 ~0 -0 0/1', 'a push that aborts');
SELECT is(t.show(diagsync.pull('l')), 'no +0 ~0 -0 0/1', 'a pull that aborts');
SELECT is(t.state(), :'before', 'write nothing at all');
SELECT last_pushed_at AS pushed FROM t.link('l') \gset
SELECT is(t.show(diagsync.push('l', on_conflict => 'skip')), 'no +0 ~1 -0 0/1', 'skip sends the rest');
SELECT ok(last_pushed_at > :'pushed', 'and counts as a push') FROM t.link('l');
SELECT is(t.status('l'), 'conflict 1/2/1', 'the conflict stays, and the public change');
SELECT is(t.show(diagsync.pull('l', on_conflict => 'skip')), 'no +0 ~1 -0 0/1', 'pull takes the rest');
SELECT is(t.show(diagsync.pull('l', on_conflict => 'skip')), 'no +0 ~0 -0 0/1', 'once');
SELECT is(t.status('l'), 'conflict 1/1/1', 'the conflict stays');
SELECT is(t.show(diagsync.push('l', on_conflict => 'public')), 'yes +0 ~0 -0 1/0', 'a push may give in to the shared copy');
SELECT is(t.docs('l'), t.docs('p'), 'and takes its version');

-- ---- The figures ----------------------------------------------------------------------------

SELECT is(public_version, (SELECT max(rev) FROM (SELECT rev FROM diagsync_public.entity WHERE diagram_id = 'p'
	UNION ALL SELECT rev FROM diagsync_public.tombstone WHERE diagram_id = 'p') AS r), 'public_version is the greatest revision there')
  FROM diagsync.pull('l');
SELECT is(public_version, (SELECT public_version FROM t.link('l')), '... and so the directory has it') FROM diagsync.pull('l');
SELECT t.write('l', 'a', '{"v": 7}');
SELECT (diagsync.push('l')).public_version AS version \gset
SELECT is(rev, :'version'::bigint, 'after a push it is the revision of that push') FROM diagsync_public.entity WHERE diagram_id = 'p' AND id = 'a';
SELECT t.write('l', 'a', NULL);
SELECT (diagsync.push('l')).public_version AS version \gset
SELECT is(rev, :'version'::bigint, 'also one that only deletes') FROM diagsync_public.tombstone WHERE diagram_id = 'p' AND id = 'a';
SELECT t.write('p', 'c', '{"v": 8}');
SELECT is(public_version, :'version'::bigint, 'status shows that of the last sync') FROM diagsync.status('l');
SELECT ok((diagsync.pull('l')).public_version > :'version'::bigint, 'the next sync the newer one');

-- ---- Several calls in one transaction, savepoints ---------------------------------------------

BEGIN;
SELECT t.write('l', 'x', '{"v": 1}');
SELECT is(t.show(diagsync.push('l')), 'yes +1 ~0 -0 0/0', 'a push in a transaction that edits');
SELECT t.write('l', 'x', '{"v": 2}'), t.write('p', 'y', '{"v": 2}');
SELECT is(t.status('l'), 'pending 1/1/0', 'what it edits after that counts');
SAVEPOINT s;
SELECT is(t.show(diagsync.push('l')), 'yes +0 ~1 -0 0/0', 'a push');
SELECT is(t.show(diagsync.pull('l')), 'yes +1 ~0 -0 0/0', 'and a pull');
SELECT is(t.status('l'), 'in_sync 0/0/0', 'in sync');
ROLLBACK TO s;
SELECT is(t.status('l'), 'pending 1/1/0', 'taken back');
SELECT is(t.show(diagsync.pull('l')), 'yes +1 ~0 -0 0/0', 'and done again');
SELECT is(t.show(diagsync.push('l')), 'yes +0 ~1 -0 0/0', 'the other way round');
COMMIT;
SELECT is(t.status('l'), 'in_sync 0/0/0', 'committed');
SELECT is(t.docs('l'), t.docs('p'), 'both ends agree');

-- The last sync of a link is seen by the next, from wherever it is asked.
SELECT diagsync.pull('l2');
SELECT is(t.docs('l2'), t.docs('p'), 'and the third copy, in the end');

SELECT * FROM finish();
