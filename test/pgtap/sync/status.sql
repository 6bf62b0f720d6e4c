-- status and status_all.
BEGIN;
\ir ../../common/pgtap/helpers.sql
SELECT plan(44);

-- ---- Unlinked ----------------------------------------------------------------------

SELECT t.make('u', '{"a": {}}');
SELECT is(to_jsonb(s), '{"local_id": "u", "public_id": null, "state": "unlinked", "diverged": null, "local_changes": null, "public_changes": null,
	"conflicts": null, "last_synced_at": null, "last_pushed_at": null, "last_pulled_at": null, "public_version": null}',
	'an unlinked diagram has no figures') FROM diagsync.status('u') AS s;
SELECT t.refuses($$ SELECT * FROM diagsync.changes('u') $$, '55000', '"u"', 'its changes are asked for in vain');
SELECT t.refuses($$ SELECT * FROM diagsync.conflicts('u') $$, '55000', '"u"', 'its conflicts too');
SELECT is_empty($$ SELECT * FROM diagsync.status_all() $$, 'status_all leaves it out');

-- ---- Linked ------------------------------------------------------------------------

SELECT t.make('l', '{"a": {"v": 1}, "b": {"v": 1}, "c": {"v": 1}}');
SELECT diagsync.share('l', 'p');
SELECT is(to_jsonb(s) - '{public_version,last_synced_at,last_pushed_at}'::text[], '{"local_id": "l", "public_id": "p", "state": "in_sync", "diverged": false,
	"local_changes": 0, "public_changes": 0, "conflicts": 0, "last_pulled_at": null}', 'just shared') FROM diagsync.status('l') AS s;
SELECT is(jsonb_build_array(last_synced_at, last_pushed_at), jsonb_build_array(now(), now()), 'sharing is a push') FROM diagsync.status('l');
SELECT is(public_version, (SELECT max(rev) FROM diagsync_public.entity WHERE diagram_id = 'p'), 'public_version is the greatest revision')
  FROM diagsync.status('l');
SELECT diagsync.clone('p', 'l2');
SELECT is(jsonb_build_array(state, last_synced_at, last_pushed_at, last_pulled_at), jsonb_build_array('in_sync', now(), NULL::timestamptz, now()), 'cloning is a pull')
  FROM diagsync.status('l2');

-- Each figure by itself.
SAVEPOINT s;
SELECT t.write('l', 'a', '{"v": 2}');
SELECT is(t.status('l'), 'pending 1/0/0', 'a local change');
SELECT is(t.status('l2'), 'in_sync 0/0/0', 'is none of another link');
SELECT t.write('l', 'n', '{"v": 2}'), t.write('l', 'b', NULL);
SELECT is(t.status('l'), 'pending 3/0/0', 'an insert and a deletion count as well');
SELECT t.write('p', 'c', '{"v": 3}');
SELECT is(t.status('l'), 'pending 3/1/0', 'a public change');
SELECT is(t.status('l2'), 'pending 0/1/0', 'is one for all links');
SELECT t.write('p', 'a', '{"v": 3}');
SELECT is(t.status('l'), 'conflict 3/2/1', 'one in conflict counts in both');
SELECT t.write('p', 'a', '{"v": 2}');
SELECT is(t.status('l'), 'pending 2/1/0', 'one changed equally counts in neither');
SELECT t.write('p', 'b', NULL), t.write('p', 'n', '{"v": 2}'), t.write('p', 'c', '{"v": 1}');
SELECT is(t.status('l'), 'in_sync 0/0/0', 'all changed equally: in sync without a sync');
SELECT is(t.status('l2'), 'pending 0/3/0', 'the other link has them all to pull');
ROLLBACK TO s;

-- With the name of the shared copy, and with that of another.
SELECT t.pair('m', 'q');
SELECT is((diagsync.status('l', 'p')).state, 'in_sync', 'given both names');
SELECT is(diagsync.status('l', NULL), diagsync.status('l', 'p'), 'a null name is one not given');
SELECT t.refuses(format('SELECT diagsync.%s(%L, %L)', f, l, p), '55000', format('"%s"', l), format('%s(%s, %s): not linked to each other', f, l, p))
  FROM unnest('{status,push,pull}'::text[]) AS f, (VALUES ('l', 'q'), ('m', 'p'), ('u', 'p'), ('l', 'l2')) AS v (l, p);
SELECT is(t.show(diagsync.push('l', 'p')), 'yes +0 ~0 -0 0/0', 'push with both names');
SELECT is(t.show(diagsync.pull('l', 'p')), 'yes +0 ~0 -0 0/0', 'pull with both names');

-- ---- All ---------------------------------------------------------------------------

SELECT t.write('l', 'a', '{"v": 2}'), t.write('p', 'b', '{"v": 3}'), t.write('l2', 'b', '{"v": 2}');
SELECT is((SELECT array_agg(t.show(s) ORDER BY n) FROM diagsync.status_all() WITH ORDINALITY AS
	a (local_id, public_id, state, diverged, local_changes, public_changes, conflicts, last_synced_at, last_pushed_at, last_pulled_at, public_version, n),
	LATERAL (SELECT (a.local_id, a.public_id, a.state, a.diverged, a.local_changes, a.public_changes, a.conflicts, a.last_synced_at, a.last_pushed_at,
		a.last_pulled_at, a.public_version)::diagsync.sync_status AS s) AS r),
	ARRAY['pending 1/1/0', 'conflict 1/1/1', 'in_sync 0/0/0'], 'the status of all links, by id');
SELECT is((SELECT count(*) FROM diagsync.status_all() AS a WHERE a IS NOT DISTINCT FROM diagsync.status(a.local_id)), 3::bigint, 'each as status() has it');
SELECT diagsync.unlink('m');
SELECT is((SELECT array_agg(local_id ORDER BY local_id) FROM diagsync.status_all()), '{l,l2}', 'one unlinked is left out');
SELECT is((SELECT count(*) FROM diagsync.status_all() LIMIT 1), 2::bigint, 'it can be read in part');

-- ---- Read-only -----------------------------------------------------------------------

SELECT t.state() AS before \gset
SELECT count(*) FROM diagsync.status_all(), diagsync.changes('l'), diagsync.conflicts('l2');
SELECT is(t.state(), :'before', 'readers write nothing');
SELECT is((SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'tuple'), 0::bigint, 'and lock no row');
SAVEPOINT s;
SET TRANSACTION READ ONLY;
SELECT is(t.status('l'), 'pending 1/1/0', 'status works in a read-only transaction');
SELECT is((SELECT count(*) FROM diagsync.status_all()), 2::bigint, 'so does status_all');
SELECT is(t.changes('l2'), 'b:both:update>update:update_update', 'so does changes');
SELECT is((SELECT count(*) FROM diagsync.conflicts('l2')), 1::bigint, 'so does conflicts');
ROLLBACK TO s;
SELECT is(t.status('l'), 'pending 1/1/0', 'and after it');

SELECT * FROM finish();
ROLLBACK;
