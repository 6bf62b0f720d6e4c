-- preview_push, preview_pull: what a push or pull would do with each entity.
BEGIN;
\ir ../../common/pgtap/helpers.sql
SELECT no_plan();

-- Entities of a page: "id local/public conflict", and what happens to the document.
CREATE FUNCTION t.list(preview diagsync.sync_preview) RETURNS text LANGUAGE sql AS $$
	SELECT coalesce(string_agg(format('%s %s/%s%s%s %s>%s', e ->> 'id', coalesce(e ->> 'local', '-'), coalesce(e ->> 'public', '-'), ' ' || (e ->> 'conflict'),
		CASE WHEN (e ->> 'resolved')::boolean THEN ' resolved' END, e ->> 'before', e ->> 'after'), '; '), '') || CASE WHEN preview.more THEN ' ...' ELSE '' END
	  FROM json_array_elements(preview.entities) AS e $$;

SELECT t.pair('l', 'p', '{"a": {"v": 1}, "b": {"v": 1}, "c": {"v": 1}, "d": {"v": 1}}');
SELECT is(t.list(diagsync.preview_push('l')), '', 'nothing to push');
SELECT t.write('l', 'a', '{"v": 2}'), t.write('l', 'b', NULL), t.write('l', 'n', '{"v": 2}');
SELECT is(t.list(diagsync.preview_push('l')), 'a -/update {"v": 1}>{"v": 2}; b -/delete {"v": 1}>; n -/insert >{"v": 2}', 'what a push does');
SELECT is(t.list(diagsync.preview_pull('l')), '', 'there is nothing to pull');
SELECT is((diagsync.preview_push('l')).result, diagsync.push('l', dry_run => true), 'the result is that of a dry run');
SELECT is(t.list(diagsync.preview_push('l', 'p', 'abort', 1, 1)), 'b -/delete {"v": 1}> ...', 'a page');
SELECT is(t.list(diagsync.preview_push('l', 'p', 'abort', 2, 1)), 'n -/insert >{"v": 2}', 'the last one');
SELECT is(t.list(diagsync.preview_push('l', 'p', 'abort', 3, 1)), '', 'beyond');
SELECT t.write('p', 'a', '{"v": 3}'), t.write('p', 'c', '{"v": 3}');
SELECT is(t.list(diagsync.preview_pull('l')), 'a -/- update_update {"v": 2}>{"v": 2}; c update/- {"v": 1}>{"v": 3}', 'a conflict is shown');
SELECT is((diagsync.preview_pull('l')).result, diagsync.pull('l', dry_run => true), 'the result says that nothing is done');
SELECT is(t.list(diagsync.preview_pull('l', NULL, resolution)), listed, resolution) FROM (VALUES
	('skip', 'a -/- update_update {"v": 2}>{"v": 2}; c update/- {"v": 1}>{"v": 3}'),
	('public', 'a update/- update_update resolved {"v": 2}>{"v": 3}; c update/- {"v": 1}>{"v": 3}')) AS x (resolution, listed);
SELECT is(t.list(diagsync.preview_push('l', NULL, 'local')), 'a -/update update_update resolved {"v": 3}>{"v": 2}; b -/delete {"v": 1}>; n -/insert >{"v": 2}', 'local');
SELECT is(t.docs('l')::text || t.docs('p')::text, '{"a": {"v": 2}, "c": {"v": 1}, "d": {"v": 1}, "n": {"v": 2}}{"a": {"v": 3}, "b": {"v": 1}, "c": {"v": 3}, "d": {"v": 1}}', 'nothing was written');

-- What was shown is what is done.
SELECT is((diagsync.push('l', NULL, 'local', expected_plan => ((diagsync.preview_push('l', NULL, 'local')).result).plan)).documents_updated::int, 3, 'its plan is the one to expect');

SELECT throws_ok($$ SELECT diagsync.preview_push('l', NULL, 'abort', -1) $$, '22023', NULL, 'first: -1');
SELECT throws_ok(format('SELECT diagsync.preview_pull(%L, NULL, %L, 0, %s)', 'l', 'abort', n), '22023', NULL, 'max: ' || n) FROM unnest('{0,1001}'::int[]) AS n;
SELECT throws_ok($$ SELECT diagsync.preview_push('l', NULL, 'never') $$, '22023', NULL, 'an unknown way to settle conflicts');
SELECT throws_ok($$ SELECT diagsync.preview_push(NULL) $$, '22004', NULL, 'no diagram');

-- ---- Reading policy, owner, rate -------------------------------------------------------------------

SELECT is(diagsync.merge_policy('l'), NULL, 'no policy is the default');
SELECT diagsync.set_merge_policy('l', '{"granularity": "property"}');
SELECT is(diagsync.merge_policy('l'), '{"granularity": "property"}'::jsonb, 'the policy that was set');
SELECT is(diagsync.owner('l'), diagsync.principal(), 'the owner');
SELECT throws_ok(format('SELECT diagsync.%I(%L)', f, 'none'), '42704', NULL, f || ' of no diagram') FROM unnest('{merge_policy,owner}'::text[]) AS f;
SELECT is(diagsync.sync_rate()::text, '(,)', 'superusers have no limit');

SELECT * FROM finish();
ROLLBACK;
