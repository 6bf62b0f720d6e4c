-- diagsync.patch(): JSON Patch (RFC 6902), case by case, what it refuses and
-- where, and what it does not let grow. Random patches are in test/laws/patches.py.
BEGIN;
\ir ../../common/pgtap/helpers.sql

-- ---- What it makes of a document ---------------------------------------------------

CREATE TABLE t.c (n int GENERATED ALWAYS AS IDENTITY, what text, doc jsonb, patch jsonb, result jsonb);
INSERT INTO t.c (what, doc, patch, result) VALUES
	('nothing to do', '{"a": 1}', '[]', '{"a": 1}'),
	('a member is added', '{"a": 1}', '[{"op": "add", "path": "/b", "value": 2}]', '{"a": 1, "b": 2}'),
	('a member that is there is replaced by "add"', '{"a": 1}', '[{"op": "add", "path": "/a", "value": [null]}]', '{"a": [null]}'),
	('null is a value', '{"a": 1}', '[{"op": "add", "path": "/b", "value": null}, {"op": "replace", "path": "/a", "value": null}]', '{"a": null, "b": null}'),
	('an element is inserted before another one', '{"a": [1, 3]}', '[{"op": "add", "path": "/a/1", "value": 2}]', '{"a": [1, 2, 3]}'),
	('... at the begin', '[1, 3]', '[{"op": "add", "path": "/0", "value": 2}]', '[2, 1, 3]'),
	('... at the end, by number', '[1, 3]', '[{"op": "add", "path": "/2", "value": 2}]', '[1, 3, 2]'),
	('... at the end, by "-"', '{"a": [1]}', '[{"op": "add", "path": "/a/-", "value": [2, 3]}]', '{"a": [1, [2, 3]]}'),
	('... into an empty array', '{"a": []}', '[{"op": "add", "path": "/a/-", "value": 1}, {"op": "add", "path": "/a/0", "value": 0}]', '{"a": [0, 1]}'),
	('a member of a new object', '{}', '[{"op": "add", "path": "/a", "value": {}}, {"op": "add", "path": "/a/b", "value": {"c": 1}}, {"op": "add", "path": "/a/b/d", "value": 2}]', '{"a": {"b": {"c": 1, "d": 2}}}'),
	('a member is removed', '{"a": 1, "b": 2}', '[{"op": "remove", "path": "/a"}]', '{"b": 2}'),
	('an element is removed', '{"a": [1, 2, 3]}', '[{"op": "remove", "path": "/a/1"}]', '{"a": [1, 3]}'),
	('all are removed', '{"a": [1], "b": {"c": 1}}', '[{"op": "remove", "path": "/a/0"}, {"op": "remove", "path": "/b/c"}]', '{"a": [], "b": {}}'),
	('a member is replaced', '{"a": 1, "b": {"c": 1}}', '[{"op": "replace", "path": "/b", "value": 2}]', '{"a": 1, "b": 2}'),
	('an element is replaced', '[1, [2], 3]', '[{"op": "replace", "path": "/1/0", "value": "two"}]', '[1, ["two"], 3]'),
	('a value moves', '{"a": {"b": 1, "c": 2}, "d": {}}', '[{"op": "move", "from": "/a/b", "path": "/d/e"}]', '{"a": {"c": 2}, "d": {"e": 1}}'),
	('an element moves: its new number counts without it', '["a", "b", "c", "d"]', '[{"op": "move", "from": "/1", "path": "/3"}]', '["a", "c", "d", "b"]'),
	('an element moves to the end', '["a", "b", "c"]', '[{"op": "move", "from": "/0", "path": "/-"}]', '["b", "c", "a"]'),
	('a value moves to where it is', '{"a": 1}', '[{"op": "move", "from": "/a", "path": "/a"}]', '{"a": 1}'),
	('... the document, too', '{"a": 1}', '[{"op": "move", "from": "", "path": ""}]', '{"a": 1}'),
	('a member becomes the document', '{"a": {"b": 1}}', '[{"op": "move", "from": "/a", "path": ""}]', '{"b": 1}'),
	('a name that begins with that of what is moved', '{"a": 1}', '[{"op": "move", "from": "/a", "path": "/ab"}]', '{"ab": 1}'),
	('what was changed moves as it is then', '{"a": {"b": {"c": 1}}}', '[{"op": "add", "path": "/a/b/d", "value": 2}, {"op": "move", "from": "/a/b", "path": "/e"}, {"op": "remove", "path": "/e/c"}]', '{"a": {}, "e": {"d": 2}}'),
	('a value is copied', '{"a": {"b": [1]}}', '[{"op": "copy", "from": "/a/b", "path": "/c"}]', '{"a": {"b": [1]}, "c": [1]}'),
	('... and the copy is one of its own', '{"a": {"b": [1]}}', '[{"op": "add", "path": "/a/b/-", "value": 2}, {"op": "copy", "from": "/a", "path": "/c"}, {"op": "add", "path": "/a/b/-", "value": 3}, {"op": "remove", "path": "/c/b/0"}]', '{"a": {"b": [1, 2, 3]}, "c": {"b": [2]}}'),
	('... into itself', '{"a": {"b": 1}}', '[{"op": "copy", "from": "", "path": "/a/c"}]', '{"a": {"b": 1, "c": {"a": {"b": 1}}}}'),
	('a test that holds', '{"a": {"b": [1, "x", null, true]}}', '[{"op": "test", "path": "/a", "value": {"b": [1, "x", null, true]}}]', '{"a": {"b": [1, "x", null, true]}}'),
	('... by value: 1 is 1.0, and the order of names is none', '{"a": 1, "b": 100}', '[{"op": "test", "path": "", "value": {"b": 1e2, "a": 1.00}}]', '{"a": 1, "b": 100}'),
	('... of what was changed before', '{"a": [1, {"b": 2}]}', '[{"op": "replace", "path": "/a/1/b", "value": 3}, {"op": "test", "path": "", "value": {"a": [1, {"b": 3.0}]}}]', '{"a": [1, {"b": 3}]}'),
	('members that it does not know', '{"a": 1}', '[{"op": "remove", "path": "/a", "value": 5, "from": 7, "comment": {"x": 1}}]', '{}'),
	('names with ~ and /', '{"a/b": 1, "m~n": 2, "~1": 3}', '[{"op": "replace", "path": "/a~1b", "value": 0}, {"op": "remove", "path": "/m~0n"}, {"op": "test", "path": "/~01", "value": 3}]', '{"a/b": 0, "~1": 3}'),
	('an empty name', '{"": {"": 1}}', '[{"op": "replace", "path": "//", "value": 2}, {"op": "add", "path": "/", "value": 5}]', '{"": 5}'),
	('"-" and numbers as names', '{"-": 1, "0": 2}', '[{"op": "replace", "path": "/-", "value": 3}, {"op": "remove", "path": "/0"}, {"op": "add", "path": "/01", "value": 4}]', '{"-": 3, "01": 4}'),
	('names and values in any writing', '{"é": {"日本": 1}, "😀": "x"}', '[{"op": "move", "from": "/é/日本", "path": "/Ключ"}, {"op": "test", "path": "/😀", "value": "\u0078"}]', '{"é": {}, "😀": "x", "Ключ": 1}'),
	('the document is replaced', '{"a": 1}', '[{"op": "replace", "path": "", "value": [1]}, {"op": "add", "path": "/-", "value": 2}]', '[1, 2]'),
	('... by "add"', '{"a": 1}', '[{"op": "add", "path": "", "value": "x"}]', '"x"'),
	('a scalar', '1', '[{"op": "test", "path": "", "value": 1.0}, {"op": "replace", "path": "", "value": true}]', 'true'),
	('the JSON null', 'null', '[{"op": "test", "path": "", "value": null}, {"op": "add", "path": "", "value": {}}]', '{}'),
	('the document is removed', '{"a": 1}', '[{"op": "remove", "path": ""}]', NULL),
	('... and made anew', '{"a": 1}', '[{"op": "remove", "path": ""}, {"op": "add", "path": "", "value": 2}]', '2'),
	('a document that does not exist', NULL, '[]', NULL),
	('... is made', NULL, '[{"op": "add", "path": "", "value": {"a": []}}, {"op": "add", "path": "/a/0", "value": 1}]', '{"a": [1]}');

-- ---- What it refuses ---------------------------------------------------------------

CREATE TABLE t.e (n int GENERATED ALWAYS AS IDENTITY, doc jsonb, patch jsonb, error text, detail text);
INSERT INTO t.e (doc, patch, error, detail) VALUES
	('{}', '{"op": "remove", "path": "/a"}', '22023 a patch must be a JSON array', ''),
	('{}', '"x"', '22023 a patch must be a JSON array', ''),
	('{}', '[5]', '22023 operation 1 of the patch is invalid', 'It is not an object.'),
	('{}', '[{"op": "add", "path": "/a", "value": 1}, {"path": "/a"}]', '22023 operation 2 of the patch is invalid', '"op" is missing.'),
	('{}', '[{"op": 1, "path": "/a"}]', '22023 operation 1 of the patch is invalid', '"op" is not a string.'),
	('{}', '[{"op": "append", "path": "/a"}]', '22023 operation 1 of the patch is invalid', '"op" is "append".'),
	('{}', '[{"op": "ADD", "path": "/a", "value": 1}]', '22023 operation 1 of the patch is invalid', '"op" is "ADD".'),
	('{}', '[{"op": "remove"}]', '22023 operation 1 of the patch is invalid', '"path" is missing.'),
	('{}', '[{"op": "remove", "path": null}]', '22023 operation 1 of the patch is invalid', '"path" is not a string.'),
	('{"a": 1}', '[{"op": "remove", "path": "a"}]', '22023 operation 1 of the patch is invalid', '"path" is "a", which is no JSON Pointer.'),
	('{"a": 1}', '[{"op": "remove", "path": "/a~2"}]', '22023 operation 1 of the patch is invalid', '"path" is "/a~2", which is no JSON Pointer.'),
	('{"a": 1}', '[{"op": "add", "path": "/a"}]', '22023 operation 1 of the patch is invalid', '"value" is missing.'),
	('{"a": 1}', '[{"op": "test", "path": "/a"}]', '22023 operation 1 of the patch is invalid', '"value" is missing.'),
	('{"a": 1}', '[{"op": "move", "path": "/b"}]', '22023 operation 1 of the patch is invalid', '"from" is missing.'),
	('{"a": 1}', '[{"op": "copy", "path": "/b", "from": "b"}]', '22023 operation 1 of the patch is invalid', '"from" is "b", which is no JSON Pointer.'),
	('{"a": 1}', '[{"op": "remove", "path": "/b"}]', '22023 operation 1 of the patch cannot be applied: remove "/b"', 'There is nothing at "/b".'),
	('{"a": 1}', '[{"op": "replace", "path": "/b", "value": 1}]', '22023 operation 1 of the patch cannot be applied: replace "/b"', 'There is nothing at "/b".'),
	('{"a": 1}', '[{"op": "add", "path": "/b/c/d", "value": 1}]', '22023 operation 1 of the patch cannot be applied: add "/b/c/d"', 'There is nothing at "/b".'),
	('{"a": 1}', '[{"op": "add", "path": "/a/c", "value": 1}]', '22023 operation 1 of the patch cannot be applied: add "/a/c"', 'There is no object or array at "/a".'),
	('5', '[{"op": "add", "path": "/a", "value": 1}]', '22023 operation 1 of the patch cannot be applied: add "/a"', 'There is no object or array at "".'),
	('{"a": [1, 2]}', '[{"op": "add", "path": "/a/3", "value": 1}]', '2202E operation 1 of the patch cannot be applied: add "/a/3"', 'The array at "/a" has 2 elements.'),
	('{"a": [1, 2]}', '[{"op": "remove", "path": "/a/2"}]', '2202E operation 1 of the patch cannot be applied: remove "/a/2"', 'The array at "/a" has 2 elements.'),
	('{"a": [1, 2]}', '[{"op": "remove", "path": "/a/-"}]', '2202E operation 1 of the patch cannot be applied: remove "/a/-"', 'The array at "/a" has 2 elements.'),
	('[1]', '[{"op": "remove", "path": "/18446744073709551616"}]', '2202E operation 1 of the patch cannot be applied: remove "/18446744073709551616"', 'The array at "" has 1 elements.'),
	('[1]', '[{"op": "remove", "path": "/00"}]', '22023 operation 1 of the patch cannot be applied: remove "/00"', '"/00" does not end with the number of an element.'),
	('[1]', '[{"op": "remove", "path": "/-1"}]', '22023 operation 1 of the patch cannot be applied: remove "/-1"', '"/-1" does not end with the number of an element.'),
	('[1]', '[{"op": "add", "path": "/", "value": 1}]', '22023 operation 1 of the patch cannot be applied: add "/"', '"/" does not end with the number of an element.'),
	('[{"a": 1}]', '[{"op": "test", "path": "/x/a", "value": 1}]', '22023 operation 1 of the patch cannot be applied: test "/x/a"', '"/x" does not end with the number of an element.'),
	('{"a": 1}', '[{"op": "test", "path": "/a", "value": "1"}]', '22023 operation 1 of the patch cannot be applied: test "/a"', 'The value there is another one.'),
	('{"a": [1, 2]}', '[{"op": "remove", "path": "/a/0"}, {"op": "test", "path": "/a", "value": [1]}]', '22023 operation 2 of the patch cannot be applied: test "/a"', 'The value there is another one.'),
	('{"a": {"b": 1}}', '[{"op": "replace", "path": "/a/b", "value": 2}, {"op": "test", "path": "/a", "value": {"c": 2}}]', '22023 operation 2 of the patch cannot be applied: test "/a"', 'The value there is another one.'),
	('{"a": {"b": 1}}', '[{"op": "replace", "path": "/a/b", "value": 2}, {"op": "test", "path": "/a", "value": [2]}]', '22023 operation 2 of the patch cannot be applied: test "/a"', 'The value there is another one.'),
	('{"a": {"b": 1}}', '[{"op": "move", "from": "/a", "path": "/a/b"}]', '22023 operation 1 of the patch cannot be applied: move "/a/b"', 'It would move "/a" into itself.'),
	('{"a": {"b": 1}}', '[{"op": "move", "from": "", "path": "/c"}]', '22023 operation 1 of the patch cannot be applied: move "/c"', 'It would move "" into itself.'),
	('{"a": [1]}', '[{"op": "move", "from": "/a/0", "path": "/a/1"}]', '2202E operation 1 of the patch cannot be applied: move "/a/1"', 'The array at "/a" has 0 elements.'),
	('{"a": 1}', '[{"op": "copy", "from": "/b", "path": "/c"}]', '22023 operation 1 of the patch cannot be applied: copy "/c"', 'There is nothing at "/b".'),
	('{"a": 1}', '[{"op": "remove", "path": ""}, {"op": "test", "path": "", "value": null}]', '22023 operation 2 of the patch cannot be applied: test ""', 'There is no document.'),
	(NULL, '[{"op": "add", "path": "/a", "value": 1}]', '22023 operation 1 of the patch cannot be applied: add "/a"', 'There is no document.'),
	(NULL, '[{"op": "remove", "path": ""}]', '22023 operation 1 of the patch cannot be applied: remove ""', 'There is no document.'),
	('{}', NULL, '22004 argument "diff" must not be null', '');
CREATE FUNCTION t.refused(doc jsonb, patch jsonb) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	detail text;
BEGIN
	RETURN diagsync.patch(doc, patch);
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
	RETURN concat_ws(E'\n', sqlstate || ' ' || sqlerrm, nullif(detail, ''));
END $$;

SELECT plan((SELECT count(*)::int FROM t.c) + (SELECT count(*)::int FROM t.e) + 15);
SELECT is(diagsync.patch(doc, patch), result, what) FROM t.c ORDER BY n;
SELECT is(t.refused(doc, patch), concat_ws(E'\n', error, nullif(detail, '')), format('%s of %s', patch, doc)) FROM t.e ORDER BY n;

-- ---- Limits ------------------------------------------------------------------------

SET LOCAL statement_timeout = '60s';
SELECT is(t.refused('{}', jsonb_build_array(jsonb_build_object('op', 'remove', 'path', repeat('/a', 1001)))),
	E'54000 operation 1 of the patch goes too deep\n"path" has 1001 levels, the most are 1000.', 'a path of too many levels');
SELECT alike(t.refused('{}', jsonb_build_array(jsonb_build_object('op', 'remove', 'path', '/' || repeat('é', 100000)))), '22023 operation 1 of the patch cannot be applied: remove "/éééé%éé..."%', 'a long path is cut in the message')
	|| E'\n' || ok(length(t.refused('{}', jsonb_build_array(jsonb_build_object('op', 'remove', 'path', '/' || repeat('é', 100000))))) < 500, '... well');
SELECT is(t.refused('[]', (SELECT jsonb_agg('{"op": "add", "path": "/-", "value": 0}'::jsonb) FROM generate_series(1, 1000001))),
	E'54000 the patch has too many operations\nIt has 1000001, the most are 1000000.', 'too many operations');
-- Each operation doubles the document.
SELECT is(t.refused('{"a": {}, "b": "0123456789"}', (SELECT jsonb_agg(jsonb_build_object('op', 'copy', 'from', '', 'path', '/a/' || n)) FROM generate_series(1, 40) AS n)),
	E'54000 operation 19 of the patch copies too much\nAll "copy" of a patch may copy 16777216 bytes together.', 'copies of copies do not grow without end');
SELECT is(t.refused(jsonb_build_object('a', repeat('x', 6000000)), '[{"op": "copy", "from": "/a", "path": "/b"}, {"op": "remove", "path": "/b"}, {"op": "copy", "from": "/a", "path": "/b"}, {"op": "remove", "path": "/b"}, {"op": "copy", "from": "/a", "path": "/b"}]'),
	E'54000 operation 5 of the patch copies too much\nAll "copy" of a patch may copy 16777216 bytes together.', 'nor are copies free that are removed again');
SELECT is(t.refused('{"a": {}}', (SELECT jsonb_agg('{"op": "copy", "from": "/a", "path": "/a/a"}'::jsonb) FROM generate_series(1, 2000))),
	E'54000 operation 999 of the patch would nest the document too deep\n"copy" may nest 1000 levels.', 'copies that nest');
SELECT is(t.refused('{"a": {}, "b": {}}', (SELECT jsonb_agg(o ORDER BY n, k) FROM generate_series(1, 2000) AS n, LATERAL (VALUES
	(1, jsonb_build_object('op', 'move', 'from', '/a', 'path', '/b/c')), (2, jsonb_build_object('op', 'move', 'from', '/b', 'path', '/a')), (3, jsonb_build_object('op', 'add', 'path', '/b', 'value', '{}'::jsonb))) AS o (k, o))),
	'54000 the patched document would be nested too deep', 'moves that nest');
SELECT is(diagsync.patch(d, jsonb_build_array(jsonb_build_object('op', 'replace', 'path', repeat('/n', 1000), 'value', 2))), (repeat('{"n":', 1000) || 2 || repeat('}', 1000))::jsonb, 'a thousand levels deep')
  FROM (SELECT (repeat('{"n":', 1000) || 1 || repeat('}', 1000))::jsonb AS d) AS x;
SELECT is(jsonb_array_length(diagsync.patch('[]', (SELECT jsonb_agg(jsonb_build_object('op', 'add', 'path', '/' || n / 2, 'value', n)) FROM generate_series(0, 99999) AS n))), 100000, '100,000 elements inserted in the middle')
	|| E'\n' || is(diagsync.patch((SELECT jsonb_agg(n) FROM generate_series(1, 100000) AS n), (SELECT jsonb_agg('{"op": "move", "from": "/99999", "path": "/0"}'::jsonb) FROM generate_series(1, 100000))),
	(SELECT jsonb_agg(n) FROM generate_series(1, 100000) AS n), '100,000 elements turned once around');
SELECT is((SELECT count(*) FROM jsonb_object_keys(diagsync.patch('{}', (SELECT jsonb_agg(jsonb_build_object('op', 'add', 'path', '/k' || n * 7919 % 100003, 'value', n)) FROM generate_series(1, 100000) AS n)))), 100000::bigint, '100,000 members in any order')
	|| E'\n' || is(diagsync.patch((SELECT jsonb_object_agg('k' || n, n) FROM generate_series(1, 100000) AS n), (SELECT jsonb_agg(jsonb_build_object('op', 'remove', 'path', '/k' || n * 7919 % 100003)) FROM generate_series(1, 100002) AS n WHERE n * 7919 % 100003 <= 100000)), '{}', '... and removed in any order');
CREATE TABLE t.long AS SELECT (SELECT jsonb_agg(n) FROM generate_series(1, 1000000) AS n) AS doc, (SELECT jsonb_agg('{"op": "move", "from": "/999999", "path": "/0"}'::jsonb) FROM generate_series(1, 500000)) AS patch;
CREATE FUNCTION t.cancelled() RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	PERFORM diagsync.patch(doc, patch) FROM t.long;
	RETURN false;
EXCEPTION WHEN query_canceled THEN
	RETURN true;
END $$;
SET LOCAL statement_timeout = '500ms';
SELECT ok(t.cancelled(), 'it can be cancelled');
SELECT is(diagsync.patch('{"a": 1}', '[{"op": "remove", "path": "/a"}]'), '{}', 'the session goes on');

SELECT * FROM finish();
ROLLBACK;
