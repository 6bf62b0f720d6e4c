-- changes_since: what was written and deleted in a shared diagram since a mark.
-- Every step is a transaction of its own. Over HTTP, test/rest/feed shows the same.
\ir ../../common/pgtap/helpers.sql
SELECT no_plan();

-- What a page says, without the mark.
CREATE FUNCTION t.page(diagram text, mark text DEFAULT NULL, max integer DEFAULT 1000) RETURNS text LANGUAGE sql AS $$
	SELECT concat_ws(' ', CASE WHEN resync THEN 'resync' END, CASE WHEN more THEN 'more' END, (
			SELECT string_agg(CASE WHEN (c ->> 'deleted')::boolean THEN '-' ELSE '+' END || (c ->> 'id'), ' ')
			  FROM json_array_elements(changes) AS c))
	  FROM diagsync.changes_since(diagram, mark, max) $$;
CREATE FUNCTION t.mark(diagram text, mark text DEFAULT NULL, max integer DEFAULT 1000) RETURNS text LANGUAGE sql AS $$
	SELECT mark FROM diagsync.changes_since(diagram, mark, max) $$;

-- ---- One page --------------------------------------------------------------------------------------

SELECT t.make('p', '{"a": {"v": 1}, "b": {"v": 1}, "c": {"v": 1}}', 'public');
SELECT is(t.page('p'), 'resync +a +b +c', 'without a mark: all that there is');
SELECT is(t.page('p', ''), 'resync +a +b +c', 'an empty one is none');
SELECT t.mark('p') AS m \gset
SELECT is(t.page('p', :'m'), '', 'nothing since then');
SELECT is(t.mark('p', :'m'), :'m', 'the mark stays');
SELECT t.write('p', 'b', '{"v": 2}'), t.write('p', 'd', '{}'), t.write('p', 'a', NULL);
SELECT is(t.page('p', :'m'), '-a +b +d', 'what was written and deleted');
SELECT is(t.page('p', t.mark('p', :'m')), '', 'the next mark has seen it');
SELECT t.write('p', 'a', '{"again": true}');
SELECT is(t.page('p', :'m'), '+a +b +d', 'what was deleted and is there again');
SELECT is((SELECT changes -> 0 ->> 'doc' FROM diagsync.changes_since('p', :'m')), '{"again": true}', 'as it is now');
SELECT is((SELECT string_agg(DISTINCT (SELECT string_agg(k, ' ' ORDER BY n) FROM json_object_keys(c) WITH ORDINALITY AS o (k, n)), ', ')
	FROM diagsync.changes_since('p', :'m'), json_array_elements(changes) AS c), 'id deleted doc modifiedAt modifiedBy', 'what it says of each');
SELECT t.make('hidden', '{"a": {}}', 'private');
SELECT is(t.page('hidden'), 'resync +a', 'a private one');

-- ---- Page by page ----------------------------------------------------------------------------------

SELECT is(t.page('p', NULL, 2), 'resync more +a +b', 'the first page');
SELECT t.mark('p', NULL, 2) AS first \gset
SELECT is(t.page('p', :'first', 2), '+c +d', 'the next one, which is the last');
SELECT t.mark('p', :'first', 2) AS all \gset
SELECT is(t.page('p', :'all'), '', 'then all is seen');
SELECT is(t.page('p', :'m', 2), 'more +a +b', 'the first of what has changed');
SELECT t.mark('p', :'m', 2) AS first \gset
SELECT t.write('p', 'd', NULL), t.write('p', 'a', NULL), t.write('p', 'e', '{}');
SELECT is(t.page('p', :'first', 5), '-d +e', 'within the pages others write: what comes after');
SELECT is(t.page('p', t.mark('p', :'first', 5)), '-a -d +e', '... and afterwards all of it');
SELECT is(t.page('p'), 'resync +b +c +e', 'no deletions for who begins anew');
UPDATE diagsync_public.entity SET doc = jsonb_build_object('long', repeat('x', 3000000)) WHERE diagram_id = 'p';
SELECT is(t.page('p', :'all'), 'more -a +b +c', 'a page ends with so many bytes');
SELECT is(t.page('p', t.mark('p', :'all')), '-d +e', '... and the next one goes on');

-- ---- Transactions ----------------------------------------------------------------------------------

SELECT t.make('own', '{"a": {"v": 1}, "b": {"v": 1}}', 'public');
SELECT t.mark('own') AS m \gset
BEGIN;
SELECT t.write('own', 'a', '{"v": 2}');
SELECT is(t.page('own', :'m'), '+a', 'its own writes are shown');
SELECT t.mark('own', :'m') AS own \gset
SELECT t.write('own', 'b', '{"v": 2}');
SELECT is(t.page('own', :'own'), '+a +b', 'but are not seen, since more may come');
COMMIT;
SELECT is(t.page('own', :'own'), '+a +b', '... also when it has committed');
SELECT is(t.page('own', t.mark('own', :'own')), '', 'then they are');
BEGIN TRANSACTION READ ONLY;
SELECT is(t.page('own', :'own'), '+a +b', 'in a read-only transaction');
COMMIT;

-- ---- Marks that say nothing (any more) ---------------------------------------------------------------

SELECT t.write('own', 'b', NULL);
SELECT t.mark('own', :'own') AS after \gset
SELECT is(diagsync.prune() > 0, true, 'tombstones are pruned');
SELECT is(t.page('own', :'own'), 'resync +a', 'a mark from before begins anew');
SELECT is(t.page('own', :'after'), '', 'one from after goes on');
SELECT is(t.page('own', t.mark('own')), '', 'so does a new one');
SELECT is(diagsync.prune(), 0, 'nothing to prune');
SELECT is(t.page('own', :'after'), '', 'that changes nothing');
UPDATE diagsync_public.entity SET doc = '{}' WHERE diagram_id = 'p';
SELECT is(t.page('p', :'after'), 'resync +b +c +e', 'a mark of another diagram begins anew');
SELECT diagsync.set_storage_type('own', 'private');
SELECT is(t.page('own', :'after'), 'resync +a', 'so does one from before it was moved');
SELECT t.mark('own') AS m \gset
SELECT diagsync.drop_diagram('own'), t.make('own', '{"z": {}}', 'private');
SELECT is(t.page('own', :'m'), 'resync +z', '... from before it was dropped and made again');
SELECT t.mark('own') AS m \gset
INSERT INTO diagsync_private.entity (diagram_id, id, doc, rev, modified_at, modified_by) VALUES ('own', 'restored', '{}', 3, '2020-01-01Z', 'role:elsewhere');
SELECT is(t.page('own', :'m'), 'resync +restored +z', '... from before rows were restored into it');
SELECT t.mark('own') AS m \gset
SELECT is(t.page('own', overlay(:'m' placing '0000' from 1 for 4)), 'resync +restored +z', '... of another cluster');
SELECT is(t.page('own', regexp_replace(:'m', '-[^-]*', '-' || to_hex(9e15::bigint))), 'resync +restored +z', '... of the future');

-- ---- What is refused ---------------------------------------------------------------------------------

SELECT throws_ok(format('SELECT diagsync.changes_since(%L, %L)', 'p', mark), '22023', format('"%s" is no mark of diagram "p"', mark), 'no mark: ' || left(mark, 40))
  FROM unnest(ARRAY['x', '0', '162aeab89878588', '162aeab89878588c', '162aeab89878588c-', '162aeab89878588c-g', '162aeab89878588c-1-', '162aeab89878588c-1-2', '162aeab89878588c-1-2-3',
	'162aeab89878588c-1-2-00', '162aeab89878588c-1-2-ff', '162aeab89878588c-1_', '162aeab89878588c-1_2', '162aeab89878588c-5_1_1', '162aeab89878588c-5_0', '162aeab89878588c-1-n1',
	'162aeab89878588c-1-n0123456789abcdef0', '162aeab89878588c-ffffffffffffffff', '162AEAB89878588C-1', repeat('162aeab89878588c', 2)]) AS mark;
SELECT throws_ok(format('SELECT diagsync.changes_since(%L, NULL, %s)', 'p', n), '22023', '"max" for diagram "p" must be between 1 and 10000', 'max: ' || n) FROM unnest('{0,-1,10001}'::int[]) AS n;
SELECT throws_ok($$ SELECT diagsync.changes_since('p', NULL, NULL) $$, '22004', NULL, 'max: null');
SELECT throws_ok($$ SELECT diagsync.changes_since(NULL) $$, '22004', NULL, 'no diagram');
SELECT throws_ok($$ SELECT diagsync.changes_since('none') $$, '42704', NULL, 'no such diagram');
SELECT t.make('l', '{"a": {}}', 'local');
SELECT throws_ok($$ SELECT diagsync.changes_since('l') $$, '42809', NULL, 'a local diagram has no marks');

SELECT * FROM finish();
