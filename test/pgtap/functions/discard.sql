-- discard: local changes taken back to their base.
BEGIN;
\ir ../../common/pgtap/helpers.sql
SELECT plan(40);

CREATE FUNCTION t.row(diagram text, name text) RETURNS text LANGUAGE sql AS $$
	SELECT concat_ws(' ', doc::text, modified_at::text, modified_by) FROM diagsync.entity WHERE diagram_id = diagram AND id = name $$;

SELECT t.pair('l', 'far l', '{"a": {"v": 1}, "b": {"v": 1}, "c": {"v": 1}}');
SELECT t.edited('l', 'a', '2020-01-01', 'role:eve'), t.edited('far l', 'a', '2020-01-01', 'role:eve'),
	t.edited('l', 'b', '2020-01-02', 'role:ray'), t.edited('far l', 'b', '2020-01-02', 'role:ray');
SELECT t.write('l', 'a', '{"v": 2}'), t.write('l', 'b', NULL), t.write('l', 'n', '{"v": 2}'), t.write('l', 'c', '{"v": 2}');
SELECT is(t.show(diagsync.discard('l', '{}')), 'yes +0 ~0 -0 0/0', 'none are none');
SELECT is(t.show(diagsync.discard('l', '{a,nobody}')), 'yes +0 ~1 -0 0/0', 'an edit is taken back; an id that is not there is passed over');
SELECT is(t.row('l', 'a'), t.row('far l', 'a'), '... with the time and author that it had');
SELECT is(t.show(diagsync.discard('l', '{b}')), 'yes +1 ~0 -0 0/0', 'a deleted one is there again');
SELECT is(t.row('l', 'b'), t.row('far l', 'b'), '... as it was');
SELECT is(t.show(diagsync.discard('l', '{n}')), 'yes +0 ~0 -1 0/0', 'an inserted one is gone');
SELECT is(t.docs('l'), '{"a": {"v": 1}, "b": {"v": 1}, "c": {"v": 2}}', '... the rest is as it was edited');
SELECT is(t.base('l'), '{"c": {"v": 1}}', '... base rows go, where the shared copy has that version');
SELECT is(t.status('l'), 'pending 1/0/0', '... one change is left');
SELECT is(t.show(diagsync.discard('l', '{a,b}')), 'yes +0 ~0 -0 0/0', 'nothing to take back');
SELECT is((diagsync.discard('l', '{a}')).included, NULL, 'nothing goes along');
SELECT is(t.show(diagsync.discard('l', NULL)), 'yes +0 ~1 -0 0/0', 'all');
SELECT is(t.status('l'), 'in_sync 0/0/0', '... nothing is left');
SELECT results_eq($$SELECT success, inserted, updated, deleted, conflicts FROM diagsync.sync_log WHERE action = 'discard' AND deleted > 0$$,
	$$VALUES (true, 0, 0, 1, 0)$$, 'the log has it');

-- What the shared copy did is left for a pull.
SELECT t.write('l', 'a', '{"v": 2}'), t.write('far l', 'a', '{"v": 3}'), t.write('l', 'b', NULL), t.write('far l', 'b', '{"v": 3}'),
	t.write('l', 'c', '{"v": 2}'), t.write('far l', 'c', NULL), t.write('l', 'i', '{"v": 2}'), t.write('far l', 'i', '{"v": 3}');
SELECT is(t.status('l'), 'conflict 4/4/4', 'conflicts of all kinds');
SELECT is(t.show(diagsync.discard('l', '{a,b,c,i}')), 'yes +1 ~2 -1 0/0', '... are taken back');
SELECT is(t.docs('l'), '{"a": {"v": 1}, "b": {"v": 1}, "c": {"v": 1}}', '... to what they were');
SELECT is(t.base('l'), '{"a": {"v": 1}, "b": {"v": 1}, "c": {"v": 1}, "i": null}', '... and the bases stay');
SELECT is(t.changes('l'), 'a:public:>update: b:public:>update: c:public:>delete: i:public:>insert:', '... what is left is of the shared copy');
SELECT ok(modified_at > '2020-01-03', 'one that is deleted there and here is there anew') FROM diagsync.entity WHERE diagram_id = 'l' AND id = 'b';
SELECT is(t.show(diagsync.pull('l')), 'yes +1 ~2 -1 0/0', '... and is pulled');
SELECT is(t.docs('l'), t.docs('far l'), '... so both are equal');

-- A deletion that the link knows of, whose tombstone is gone.
SELECT t.write('l', 'a', '{"v": 5}'), t.write('far l', 'a', NULL);
SELECT is(t.show(diagsync.pull('l', on_conflict => 'skip')), 'no +0 ~0 -0 0/1', 'a conflict with a deletion is skipped');
SET LOCAL session_replication_role = replica;
DELETE FROM diagsync_public.tombstone WHERE diagram_id = 'far l';
SET LOCAL session_replication_role = origin;
SELECT is(t.show(diagsync.discard('l', '{a}')), 'yes +0 ~1 -0 0/0', '... the edit is taken back');
SELECT is(t.changes('l'), 'a:public:>delete:', '... the deletion is still one');

-- What nobody knows the base of is left.
SELECT t.pair('u', 'far u', '{"a": {"v": 1}, "b": {"v": 1}}');
SET LOCAL session_replication_role = replica;
DELETE FROM diagsync_local.entity WHERE diagram_id = 'u' AND id = 'a';
UPDATE diagsync_local.entity SET doc = '{"v": 9}' WHERE diagram_id = 'u' AND id = 'b';
SET LOCAL session_replication_role = origin;
UPDATE diagsync.directory SET compare_in_full = true WHERE id = 'u';
SELECT diagsync.refresh('u');
SELECT is(t.show(diagsync.discard('u', '{a,b}')), 'no +1 ~0 -0 0/1', 'of which one can be taken back');
SELECT is(t.docs('u'), '{"a": {"v": 1}, "b": {"v": 9}}', '... and the other is left');
SELECT is((diagsync.status('u')).conflicts, 1, '... as a conflict');

-- An acceptance goes with the change that it was about.
SELECT t.make('r', '{"x": {}, "e": {"to": "x"}, "o": {}}'), diagsync.set_merge_policy('r', '{"references": ["/to"]}');
SELECT diagsync.share('r', 'far r');
SELECT t.write('r', 'x', NULL), t.write('r', 'e', NULL), t.write('far r', 'e', '{"to": "x", "v": 2}'), t.write('far r', 'o', '{"to": "x"}');
SELECT (diagsync.resolve('r', 'x', 'local')).entity_id;
SELECT isnt((SELECT accepted FROM diagsync_local.base WHERE diagram_id = 'r' AND id = 'x'), NULL, 'a deletion that may leave a reference dangling');
SELECT t.write('far r', 'x', '{"v": 2}');
SELECT is(t.show(diagsync.discard('r', '{x}')), 'yes +1 ~0 -0 0/0', '... is taken back');
SELECT is((SELECT accepted FROM diagsync_local.base WHERE diagram_id = 'r' AND id = 'x'), NULL, '... and the next one may not');

-- Many deletions are asked for, unless they are named.
SELECT t.pair('d', 'far d', '{"a": {}}');
SELECT t.write('d', 'n' || i, '{}') FROM generate_series(1, 12) AS i;
SELECT is((diagsync.discard('d', NULL)).refused_deletions, 12, 'so many inserts are not taken back unasked');
SELECT is(t.status('d'), 'pending 12/0/0', '... nothing is done');
SELECT is((diagsync.discard('d', NULL, allow_deletions => true)).deleted, 12, '... but if that is allowed');
SELECT t.write('d', 'n' || i, '{}') FROM generate_series(1, 12) AS i;
SET LOCAL diagsync.batch_size = 5;
SELECT is((diagsync.discard('d', (SELECT array_agg('n' || i) FROM generate_series(1, 12) AS i))).deleted, 12, '... or they are named');
SELECT is(t.status('d'), 'in_sync 0/0/0', '... in batches');

-- What is refused.
SELECT t.make('alone');
SELECT t.refuses($$SELECT diagsync.discard('alone', '{a}')$$, '55000', 'diagram "alone" is not linked to a shared one');
SELECT t.refuses($$SELECT diagsync.discard('far l', '{a}')$$, '42809', 'diagram "far l" is not a local diagram');
SELECT t.refuses($$SELECT diagsync.discard('l', '{NULL}')$$, '22004', 'must not contain nulls');
SELECT t.refuses($$SELECT diagsync.discard('l', '{a}', NULL)$$, '22004', 'argument "allow_deletions"');

SELECT * FROM finish();
ROLLBACK;
