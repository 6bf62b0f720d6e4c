-- diagsync.diff(): the JSON Patch between two documents, case by case, with and
-- without a policy; large and deep documents. Random ones are in
-- test/laws/patches.py.
BEGIN;
\ir ../../common/pgtap/helpers.sql

-- The operations, one a line, in short.
CREATE FUNCTION t.short(patch jsonb) RETURNS text LANGUAGE sql AS $$
	SELECT coalesce(string_agg(concat_ws(' ', o ->> 'op', o ->> 'from', o ->> 'path', o -> 'value'), '; ' ORDER BY n), 'nothing')
	  FROM jsonb_array_elements(patch) WITH ORDINALITY AS e (o, n) $$;

-- ---- Cases -------------------------------------------------------------------------

CREATE TABLE t.c (n int GENERATED ALWAYS AS IDENTITY, what text, old jsonb, new jsonb, patch text, policy jsonb);
INSERT INTO t.c (what, old, new, patch) VALUES
	('nothing', '{"a": [1, {"b": null}]}', '{"a": [1.0, {"b": null}]}', 'nothing'),
	('scalars', '1', '"1"', 'replace  "1"'),
	('a scalar and an object', '1', '{}', 'replace  {}'),
	('an array and an object', '[]', '{}', 'replace  {}'),
	('the JSON null and false', 'null', 'false', 'replace  false'),
	('a document that comes', NULL, 'null', 'add  null'),
	('... and goes', '{"a": 1}', NULL, 'remove '),
	('no document at all', NULL, NULL, 'nothing'),
	('members', '{"a": 1, "b": 2, "c": 3}', '{"a": 1, "b": 4, "d": null}', 'replace /b 4; remove /c; add /d null'),
	('members inside members', '{"a": {"b": {"c": 1, "d": 2}}, "x": {}}', '{"a": {"b": {"c": 1, "d": 3}, "e": []}, "x": {}}', 'replace /a/b/d 3; add /a/e []'),
	('null is a value', '{"a": null, "b": 1}', '{"b": null, "c": null}', 'remove /a; replace /b null; add /c null'),
	('another type', '{"a": {"b": 1}, "c": [1]}', '{"a": [1], "c": {"b": 1}}', 'replace /a [1]; replace /c {"b": 1}'),
	('names with ~ and /', '{"a/b": 1, "~": {"~1": 2}}', '{"a/b": 2, "~": {"~1": 3}}', 'replace /~0/~01 3; replace /a~1b 2'),
	('an empty name, "-" and numbers', '{"": {"": 1}, "-": 1, "0": 1}', '{"": {"": 2}, "-": 2, "0": 2}', 'replace // 2; replace /- 2; replace /0 2'),
	('names in any writing', '{"日本": {"😀": 1}}', '{"日本": {"😀": 2}}', 'replace /日本/😀 2'),
	('an element inserted', '{"a": [1, 2, 3]}', '{"a": [1, 4, 2, 3]}', 'add /a/1 4'),
	('elements removed', '[1, 2, 3, 4, 5]', '[1, 3, 5]', 'remove /1; remove /2'),
	('an element replaced', '[1, 2, 3]', '[1, 4, 3]', 'replace /1 4'),
	('elements appended', '[1]', '[1, 2, [3]]', 'add /1 2; add /2 [3]'),
	('all removed', '[1, 2]', '[]', 'remove /0; remove /0'),
	('all new', '[]', '[1, 2]', 'add /0 1; add /1 2'),
	('an element moved to the front', '["a", "b", "c", "d"]', '["d", "a", "b", "c"]', 'move /3 /0'),
	('... and to the end', '["a", "b", "c", "d"]', '["b", "c", "d", "a"]', 'move /0 /3'),
	('two swapped', '["a", "b"]', '["b", "a"]', 'move /0 /1'),
	('removed, moved and inserted', '["a", "b", "c", "d", "e"]', '["e", "x", "b", "d"]', 'move /4 /0; replace /1 "x"; remove /3'),
	('a number and its opposite', '[1, -1, 2]', '[-1]', 'remove /0; remove /1'),
	('the same twice', '[1, 1, 2, 1]', '[1, 2, 1, 1]', 'move /1 /2'),
	('an element changed inside', '[{"n": 1, "v": 1}, {"n": 2, "v": 1}]', '[{"n": 1, "v": 1}, {"n": 2, "v": 2}]', 'replace /1/v 2'),
	('... and one inserted before', '[{"n": 1}, {"n": 2, "v": 1}]', '[{"n": 0}, {"n": 1}, {"n": 2, "v": 2}]', 'add /0 {"n": 0}; replace /2/v 2'),
	('objects that have no name in common', '[{"a": 1, "b": 2}]', '[{"c": 3}]', 'replace /0 {"c": 3}'),
	('arrays in arrays', '[[0, 0], [1, 2], [3, 4]]', '[[0, 0], [1, 5], [3, 4], [6, 7]]', 'replace /1/1 5; add /3 [6, 7]');
INSERT INTO t.c (what, old, new, patch, policy) VALUES
	('the default policy ignores nothing', '{"id": 1, "last_seen": 1}', '{"id": 2, "last_seen": 2}', 'replace /id 2; replace /last_seen 2', '{}'),
	('ignored', '{"a": 1, "t": 1, "m": {"t": 1, "b": 1}}', '{"a": 2, "t": 2, "m": {"t": 2, "b": 2}, "u": 1}', 'replace /a 2; replace /m/b 2', '{"ignore": ["/t", "/u", "/m/t"]}'),
	('... comes along with what is around it', '{"m": 1}', '{"m": {"t": 2}, "n": {"t": 3}}', 'replace /m {"t": 2}; add /n {"t": 3}', '{"ignore": ["/m/t", "/n/t"]}'),
	('... all of it', '{"a": 1, "b": [1]}', '{"a": 2, "b": [2]}', 'nothing', '{"ignore": ["/a", "/b"]}'),
	('... in elements', '{"l": [{"t": 1, "v": 1}, {"t": 1, "v": 2}]}', '{"l": [{"t": 2, "v": 0}, {"t": 2, "v": 1}, {"t": 2, "v": 3}]}', 'add /l/0 {"t": 2, "v": 0}; replace /l/2/v 3', '{"ignore": ["/l/*/t"]}'),
	('... in one of them', '{"l": [{"t": 1}, {"t": 1}]}', '{"l": [{"t": 2}, {"t": 2}]}', 'replace /l/1/t 2', '{"ignore": ["/l/0/t"]}'),
	('within the tolerance', '{"x": 1, "y": 1, "l": [1, 2]}', '{"x": 1.05, "y": 1.2, "l": [1.01, 2.5]}', 'replace /l/1 2.5; replace /y 1.2', '{"tolerance": 0.1}'),
	('null that is absent', '{"a": null, "b": 1, "c": null}', '{"b": null, "c": 2, "d": null}', 'replace /b null; replace /c 2', '{"null": "absent"}'),
	('"latest" and groups are changes', '{"x": 1, "y": 1}', '{"x": 2, "y": 2}', 'replace /x 2; replace /y 2', '{"granularity": "entity", "latest": ["/x"], "groups": [["/y"]]}'),
	('elements with keys', '{"l": [{"k": "a", "v": 1}, {"k": "b", "v": 1}, {"k": "c", "v": 1}]}', '{"l": [{"k": "c", "v": 1}, {"k": "d", "v": 1}, {"k": "a", "v": 2}]}',
		'remove /l/1; add /l/2 {"k": "d", "v": 1}; move /l/0 /l/2; replace /l/2/v 2', '{"keys": {"/l": "k"}}'),
	('... that are numbers', '{"l": [{"k": 1, "v": 1}, {"k": 2, "v": 1}]}', '{"l": [{"k": 2.0, "v": 3}, {"k": 1, "v": 1}]}', 'replace /l/1/v 3; move /l/0 /l/1', '{"keys": {"/l": "k"}}'),
	('... another key is another element', '{"l": [{"k": "a", "v": 1}]}', '{"l": [{"k": "b", "v": 1}]}', 'remove /l/0; add /l/0 {"k": "b", "v": 1}', '{"keys": {"/l": "k"}}'),
	('... with all but the key ignored', '{"l": [{"k": "a", "v": 1}, {"k": "a", "v": 2}]}', '{"l": [{"k": "a", "v": 3}, {"k": "b", "v": 4}]}', 'replace /l/1 {"k": "b", "v": 4}', '{"keys": {"/l": "k"}, "ignore": ["/l/*"]}'),
	('... one of them twice: told by contents', '{"l": [{"k": "a", "v": 1}, {"k": "a", "v": 2}]}', '{"l": [{"k": "a", "v": 2}, {"k": "a", "v": 1}]}', 'move /l/0 /l/1', '{"keys": {"/l": "k"}}'),
	('a preset', '{"x": 1, "version": 5, "points": [[0, 0]]}', '{"x": 2, "version": 6, "points": [[0, 0.0000001]]}', 'replace /x 2', '{"preset": "excalidraw"}');

SELECT plan(3 * (SELECT count(*)::int FROM t.c) + 30);
SELECT is(t.short(diagsync.diff(old, new, policy)), patch, what) FROM t.c ORDER BY n;
SELECT is(diagsync.patch(old, diagsync.diff(old, new)), new, what || ', applied') FROM t.c ORDER BY n;
SELECT is(diagsync.patch(new, diagsync.diff(new, old)), old, what || ', backwards') FROM t.c ORDER BY n;

SELECT throws_ok($$ SELECT diagsync.diff('{}', '{}', '{"tolerance": "x"}') $$, '22023', 'invalid merge policy', 'a policy that is none');
-- Kept from one row to the next, but not longer.
SELECT is(string_agg(t.short(diagsync.diff('{"a": 1, "b": 1}', '{"a": 2, "b": 2}', policy)), ' | ' ORDER BY n), 'replace /b 2 | replace /b 2 | replace /a 2 | replace /a 2; replace /b 2', 'another policy in each row')
  FROM (VALUES (1, '{"ignore": ["/a"]}'::jsonb), (2, '{"ignore": ["/a"]}'), (3, '{"ignore": ["/b"]}'), (4, NULL)) AS p (n, policy);

-- ---- Large documents ---------------------------------------------------------------

SET LOCAL statement_timeout = '60s';
CREATE FUNCTION t.deep(n int, leaf jsonb, before text DEFAULT '{"n":', after text DEFAULT '}') RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
	SELECT (repeat(before, n) || leaf || repeat(after, n))::jsonb $$;
-- An array that holds a second element on each level, and most inside the first one.
CREATE FUNCTION t.nest(levels int, inside jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
	FOR i IN 1 .. levels LOOP
		inside := jsonb_build_array(i, inside, 'x');
	END LOOP;
	RETURN inside;
END $$;
CREATE TABLE t.big (n int GENERATED ALWAYS AS IDENTITY, what text, old jsonb, new jsonb, operations int, most int);
ALTER TABLE t.big ALTER old SET STORAGE EXTERNAL, ALTER new SET STORAGE EXTERNAL;
INSERT INTO t.big (what, old, new, operations, most)
SELECT '100,000 numbers, one inserted in the middle', jsonb_agg(n ORDER BY n) FILTER (WHERE n <> 50000), jsonb_agg(n ORDER BY n), 1, 1 FROM generate_series(1, 100000) AS n UNION ALL
SELECT '100,000 numbers, every hundredth removed', jsonb_agg(n ORDER BY n), jsonb_agg(n ORDER BY n) FILTER (WHERE n % 100 <> 0), 1000, 1000 FROM generate_series(1, 100000) AS n UNION ALL
SELECT '100,000 numbers backwards', jsonb_agg(n ORDER BY n), jsonb_agg(n ORDER BY -n), 99999, 99999 FROM generate_series(1, 100000) AS n UNION ALL
SELECT '100,000 numbers shuffled', jsonb_agg(n ORDER BY n), jsonb_agg(n ORDER BY md5(n::text)), 99000, 99999 FROM generate_series(1, 100000) AS n UNION ALL
SELECT '100,000 others', jsonb_agg(n ORDER BY n), jsonb_agg(-n ORDER BY n), 100000, 100000 FROM generate_series(1, 100000) AS n UNION ALL
SELECT '100,000 of two values, a few changed', jsonb_agg(n % 2 ORDER BY n), jsonb_agg(CASE WHEN n % 10000 = 0 THEN 1 ELSE n % 2 END ORDER BY n), 10, 20 FROM generate_series(1, 100000) AS n UNION ALL
SELECT '100,000 of two values, at random', jsonb_agg(n % 2 ORDER BY n), jsonb_agg(n % 2 ORDER BY md5(n::text)), 1, 200000 FROM generate_series(1, 100000) AS n UNION ALL
SELECT '100,000 objects, one property of each', jsonb_agg(jsonb_build_object('n', n, 'v', 1) ORDER BY n), jsonb_agg(jsonb_build_object('n', n, 'v', 2) ORDER BY n), 100000, 100000 FROM generate_series(1, 100000) AS n UNION ALL
SELECT '100,000 properties, each', jsonb_object_agg('k' || n, n), jsonb_object_agg('k' || n, -n), 100000, 100000 FROM generate_series(1, 100000) AS n UNION ALL
SELECT '1 MB of texts in objects, one of them', jsonb_object_agg(n, jsonb_build_object('text', repeat(md5(n::text), 3))), jsonb_object_agg(n, jsonb_build_object('text', CASE n WHEN 77 THEN 'new' ELSE repeat(md5(n::text), 3) END)), 1, 1 FROM generate_series(1, 10000) AS n UNION ALL
SELECT 'a million numbers, all other', jsonb_agg(n), jsonb_agg(-n), 1, 1000000 FROM generate_series(1, 1000100) AS n UNION ALL
SELECT '950 deep', t.deep(950, '{"a": 1, "b": 1}'), t.deep(950, '{"a": 2, "b": 1}'), 1, 1 UNION ALL
SELECT '950 deep, in arrays', t.deep(950, '[1, 2]', '[', ']'), t.deep(950, '[1, 3]', '[', ']'), 1, 1 UNION ALL
SELECT '2,000 deep: replaced as a whole', t.deep(2000, '1'), t.deep(2000, '2'), 1, 1 UNION ALL
SELECT '400 arrays around 1 MB', t.nest(400, jsonb_agg(n ORDER BY n)), t.nest(400, jsonb_agg(n + n / 60000 ORDER BY n)), 1, 2 FROM generate_series(1, 60000) AS n UNION ALL
SELECT 'the most of an array has moved', jsonb_build_array(jsonb_agg(n ORDER BY n), 1, 2), jsonb_build_array(0, 1, jsonb_agg(n + n / 1000 ORDER BY n), 2), 3, 3 FROM generate_series(1, 1000) AS n UNION ALL
SELECT '... or become another thing', jsonb_build_array(jsonb_agg(n ORDER BY n), 1), jsonb_build_array(jsonb_object_agg(n, n), 1), 1, 1 FROM generate_series(1, 1000) AS n UNION ALL
SELECT '... in one of them alone', jsonb_build_array(jsonb_agg(n ORDER BY n), 1), '[[1], 1]', 1, 1000 FROM generate_series(1, 1000) AS n UNION ALL
SELECT '10,000 differences under a name of 100 kB: replaced as a whole', jsonb_build_object(repeat('k', 100000), jsonb_agg(n)), jsonb_build_object(repeat('k', 100000), jsonb_agg(-n)), 1, 1 FROM generate_series(1, 10000) AS n;
CREATE TABLE t.patch AS SELECT n, diagsync.diff(old, new) AS patch FROM t.big;
SELECT ok(jsonb_array_length(patch) BETWEEN operations AND most, format('%s: %s operations', what, jsonb_array_length(patch))) FROM t.big JOIN t.patch USING (n) ORDER BY n;
SELECT is((SELECT string_agg(what, ', ') FROM t.big JOIN t.patch USING (n) WHERE diagsync.patch(old, patch) IS DISTINCT FROM new), NULL, 'applied they give the new document');
SELECT is(t.short(patch), 'replace ' || repeat('/1', 400) || '/59999 60001', 'where it is, in 400 arrays') FROM t.big JOIN t.patch USING (n) WHERE what LIKE '400 arrays%';
SELECT is((SELECT count(*) FROM t.big WHERE diagsync.diff(new, new) <> '[]'), 0::bigint, 'none differs from itself');
SELECT is(jsonb_array_length(diagsync.diff(jsonb_build_object('l', a), jsonb_build_object('l', b), '{"keys": {"/l": "k"}}')), 1001, '100,000 elements with keys, one moved, a thousand changed')
  FROM (SELECT jsonb_agg(jsonb_build_object('k', n, 'v', n) ORDER BY n) AS a, jsonb_agg(jsonb_build_object('k', n, 'v', n + (n % 100 = 0)::int) ORDER BY CASE n WHEN 5 THEN 70000.5 ELSE n END) AS b FROM generate_series(1, 100000) AS n) AS x;

-- How the time grows: twice the elements take no four times as long.
CREATE FUNCTION t.ms(n int) RETURNS float8 LANGUAGE plpgsql AS $$
DECLARE
	a jsonb := (SELECT jsonb_agg(i ORDER BY i) FROM generate_series(1, n) AS i);
	b jsonb := (SELECT jsonb_agg(i ORDER BY md5(i::text)) FROM generate_series(1, n) AS i);
	best float8 := 'infinity';
	start timestamptz;
BEGIN
	FOR round IN 1 .. 5 LOOP
		start := clock_timestamp();
		PERFORM diagsync.patch(a, diagsync.diff(a, b));
		best := least(best, extract(epoch FROM clock_timestamp() - start) * 1000);
	END LOOP;
	RETURN best;
END $$;
SELECT ok(m.large < 12 * m.small + 50, format('four times the elements: %s ms instead of %s ms', round(m.large::numeric, 1), round(m.small::numeric, 1)))
  FROM (SELECT t.ms(10000) AS small, t.ms(40000) AS large) AS m;
SELECT ok(t.best < 200, format('a diff of 1 MB: %s ms', round(t.best::numeric, 2))) FROM (
	SELECT min(extract(epoch FROM clock_timestamp() - c.start) * 1000 + 0 * jsonb_array_length(diagsync.diff(b.old, b.new))) AS best
	  FROM t.big AS b, generate_series(1, 5) AS i, LATERAL (SELECT clock_timestamp() + i * interval '0' AS start) AS c WHERE b.what LIKE '1 MB%') AS t;
CREATE FUNCTION t.cancelled() RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	PERFORM diagsync.diff(old, new) FROM t.big, generate_series(1, 1000) WHERE what LIKE '%at random';
	RETURN false;
EXCEPTION WHEN query_canceled THEN
	RETURN true;
END $$;
SET LOCAL statement_timeout = '500ms';
SELECT ok(t.cancelled(), 'it can be cancelled');
SET LOCAL statement_timeout = '60s';
SET LOCAL max_stack_depth = '100kB';
SELECT is(jsonb_array_length(diagsync.diff(old, new)), 1, 'with a small stack: replaced as a whole') FROM t.big WHERE what = '950 deep';
RESET max_stack_depth;
SELECT is(diagsync.patch(old, diagsync.diff(old, new)), new, 'the session goes on') FROM t.big WHERE what = '950 deep';

SELECT * FROM finish();
ROLLBACK;
