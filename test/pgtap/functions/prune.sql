-- prune: what goes and what stays. Every step is a transaction of its own.
\ir ../../common/pgtap/helpers.sql
SELECT plan(50);

CREATE FUNCTION t.tombstones() RETURNS text LANGUAGE sql AS $$
	SELECT coalesce(string_agg(d || '/' || id, ' ' ORDER BY d, id), '') FROM (
		SELECT diagram_id COLLATE "default" AS d, id COLLATE "default" FROM diagsync_public.tombstone
		UNION ALL SELECT diagram_id, id FROM diagsync_private.tombstone) AS s $$;
-- As if a link had not synced for so long.
CREATE FUNCTION t.idle(local text, since interval) RETURNS void LANGUAGE sql AS $$
	UPDATE diagsync.directory SET last_pushed_at = now() - since, last_pulled_at = now() - since WHERE id = local $$;

SELECT is(diagsync.prune(), 0, 'nothing to prune');

-- ---- Without a link -----------------------------------------------------------------------------

SELECT t.make('alone', '{"a": {}, "b": {}}', 'public'), t.make('hidden', '{"a": {}}', 'private');
SELECT t.write('alone', 'a', NULL), t.write('hidden', 'a', NULL);
SELECT is(t.tombstones(), 'alone/a hidden/a', 'deletions leave tombstones');
SELECT is(diagsync.prune(), 2, 'where nobody is linked nobody needs them');
SELECT is(t.tombstones(), '', 'they are gone');
SELECT is(t.docs('alone'), '{"b": {}}', 'the entities stay');

-- ---- With links that have seen them and some that have not ------------------------------------------

SELECT t.pair('l', 'p', '{"a": {"v": 1}, "b": {"v": 1}, "c": {"v": 1}}');
SELECT diagsync.clone('p', 'l2');
SELECT t.write('p', 'a', NULL);
SELECT is(diagsync.prune(), 0, 'a tombstone that no link has seen stays');
SELECT diagsync.pull('l');
SELECT is(diagsync.prune(), 0, 'one that only some have seen stays');
SELECT is(t.status('l2'), 'pending 0/1/0', 'as others need it');
SELECT t.write('p', 'b', NULL);
SELECT diagsync.pull('l2');
SELECT is(t.tombstones(), 'p/a p/b', 'one more, which only the other link has seen');
SELECT is(diagsync.prune(), 1, 'what all have seen goes');
SELECT is(t.tombstones(), 'p/b', 'the other stays');
SELECT is(t.show(diagsync.pull('l')), 'yes +0 ~0 -1 0/0', 'and is pulled');
SELECT is(diagsync.prune(), 1, 'then it goes too');
SELECT is(diagsync.prune(), 0, 'once');
SELECT is(t.status('l') || ', ' || t.status('l2'), 'in_sync 0/0/0, in_sync 0/0/0', 'nothing changed for the links');

-- A push of a deletion: seen by who pushed it.
SELECT t.write('l', 'c', NULL);
SELECT diagsync.push('l');
SELECT is(diagsync.prune(), 0, 'a pushed deletion waits for the other link');
SELECT diagsync.pull('l'), diagsync.pull('l2');
SELECT is(diagsync.prune(), 1, 'which then has seen it');
-- A push that leaves public changes has not seen them.
SELECT t.write('p', 'x', '{}');
SELECT diagsync.pull('l'), diagsync.pull('l2');
SELECT t.write('p', 'x', NULL), t.write('l', 'y', '{}');
SELECT diagsync.push('l'), diagsync.pull('l2');
SELECT is(diagsync.prune(), 0, 'a push that leaves a public deletion has not seen it');
SELECT is(t.changes('l'), 'x:public:>delete:', 'which waits for the pull');
SELECT diagsync.pull('l');
SELECT is(diagsync.prune(), 1, 'and goes after it');

-- ---- Idle links ----------------------------------------------------------------------------------------

SELECT diagsync.pull('l2');
SELECT t.write('p', 'y', NULL), t.write('p', 'z', '{"v": 3}');
SELECT diagsync.pull('l');
SELECT t.idle('l2', '10 days');
SELECT is(diagsync.prune('20 days'), 0, 'a link that is not idle for so long holds a tombstone back');
SELECT isnt(seen::text, NULL, '... and keeps what it has seen') FROM diagsync.directory WHERE id = 'l2';
SELECT is(diagsync.prune(), 0, 'without an interval any link does');
SELECT is(diagsync.prune('5 days'), 1, 'one idle for longer does not');
SELECT is(seen::text, NULL, 'what it has seen is cleared') FROM diagsync.directory WHERE id = 'l2';
SELECT isnt(seen_on, NULL, '... but it is established still') FROM diagsync.directory WHERE id = 'l2';
SELECT isnt(seen::text, NULL, 'that of the other link is not') FROM diagsync.directory WHERE id = 'l';
SELECT is(t.changes('l2'), 'y:public:>delete: z:public:>insert:', 'so it compares in full, and misses nothing');
SELECT is(t.show(diagsync.pull('l2')), 'yes +1 ~0 -1 0/0', 'and pulls it');
SELECT is(t.docs('l2'), t.docs('p'), 'both ends agree');
-- Idle, but with nothing to hold back.
SELECT t.idle('l', '10 days'), t.idle('l2', '10 days');
SELECT diagsync.prune('5 days');
SELECT is((SELECT count(*) FROM diagsync.directory WHERE id IN ('l', 'l2') AND seen IS NULL), 0::bigint, 'an idle link that holds nothing back keeps what it has seen');
-- Zero: every link is idle.
SELECT t.write('p', 'z', NULL);
SELECT is(diagsync.prune('0'), 1, 'an interval of zero drops them all');
SELECT is(t.changes('l') || ', ' || t.changes('l2'), 'z:public:>delete:, z:public:>delete:', 'and still nobody misses the deletion');
SELECT is(t.show(diagsync.pull('l')), 'yes +0 ~0 -1 0/0', 'which is pulled');

-- ---- Deletions that are known, and restored links ---------------------------------------------------------

-- A deletion that is skipped, or refreshed over, is seen; so its tombstone goes, and it stays what it was.
SELECT diagsync.pull('l'), diagsync.pull('l2');
SELECT t.write('p', 'c1', '{"v": 1}'), t.write('p', 'c2', '{"v": 1}');
SELECT diagsync.pull('l'), diagsync.pull('l2');
SELECT t.write('l', 'c1', '{"v": 2}');
SELECT t.write('p', 'c1', NULL), t.write('p', 'c2', NULL);
SELECT diagsync.pull('l2');
SELECT is(t.show(diagsync.pull('l', on_conflict => 'skip')), 'no +0 ~0 -1 0/1', 'a pull that skips a deletion has seen it');
SELECT is(diagsync.prune(), 2, '... so its tombstone goes');
SELECT is(t.changes('l'), 'c1:both:update>delete:update_delete', '... and it stays the conflict that it was');
SELECT is(t.show(diagsync.refresh('l')) || ' ' || t.changes('l'), 'conflict 1/1/1 c1:both:update>delete:update_delete', '... in full, too');
SELECT diagsync.resolve('l', 'c1', 'public');
SELECT t.write('p', 'd1', '{"v": 1}');
SELECT diagsync.pull('l'), diagsync.pull('l2');
SELECT t.write('p', 'd1', NULL);
SELECT diagsync.pull('l2');
SELECT is(t.show(diagsync.refresh('l')), 'pending 0/1/0', 'a refresh has seen a deletion');
SELECT is(diagsync.prune(), 1, '... so its tombstone goes');
SELECT is(t.changes('l'), 'd1:public:>delete:', '... and it stays a deletion');
SELECT is(t.show(diagsync.pull('l')), 'yes +0 ~0 -1 0/0', '... to be pulled');

-- A link that was restored, or whose policy has changed, needs tombstones.
SELECT t.write('p', 'd2', '{"v": 1}');
SELECT diagsync.pull('l'), diagsync.pull('l2');
SELECT t.write('p', 'd2', NULL);
SELECT diagsync.pull('l2');
UPDATE diagsync.directory SET seen_on = 1 WHERE id = 'l';
SELECT is(diagsync.prune(), 0, 'a restored link holds tombstones back');
SELECT is(t.changes('l'), 'd2:public:>delete:', '... so the deletion is one');
SELECT t.idle('l', '10 days');
SELECT is(diagsync.prune('5 days'), 1, '... unless it is idle');
SELECT is(t.changes('l'), 'd2:public:>delete:', '... and then what is missing is deleted');

-- A link that only syncs chosen entities looks at nothing else, so it is idle.
SELECT diagsync.pull('l'), diagsync.pull('l2');
SELECT t.write('p', 'd3', '{"v": 1}'), t.write('p', 'd4', '{"v": 1}');
SELECT diagsync.pull('l'), diagsync.pull('l2');
SELECT t.write('p', 'd3', NULL), t.write('p', 'd4', '{"v": 2}');
SELECT diagsync.pull('l2');
SELECT t.idle('l', '10 days');
SELECT is(t.show(diagsync.pull('l', entities => '{d4}')), 'yes +0 ~1 -0 0/0', 'a pull of a chosen entity');
SELECT is(diagsync.prune('15 days'), 0, '... holds tombstones back');
SELECT is(diagsync.prune('5 days'), 1, '... but not for longer than it has not looked at all');
SELECT is(t.changes('l'), 'd3:public:>delete:', '... and then what is missing is deleted');

SELECT * FROM finish();
