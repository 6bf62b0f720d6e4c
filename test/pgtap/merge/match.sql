-- diagsync.match(): entities of an import told by their contents and keys, the
-- ids that they get, and what it refuses.
BEGIN;
\ir ../../common/pgtap/helpers.sql

-- Rows in short: old<-new how, +new, -old.
CREATE FUNCTION t.short(old jsonb, new jsonb, policy jsonb DEFAULT NULL) RETURNS text LANGUAGE sql AS $$
	SELECT coalesce(string_agg(CASE WHEN m.old_id IS NULL THEN '+' || new_id WHEN new_id IS NULL THEN '-' || old_id ELSE old_id || '<-' || new_id || ' ' || m.by END
		|| CASE WHEN m.id <> coalesce(m.old_id, new_id) THEN ' as ' || m.id ELSE '' END, ', ' ORDER BY n), 'nothing')
	  FROM diagsync.match(old, new, policy) WITH ORDINALITY AS m (id, old_id, new_id, by, doc, n) $$;

CREATE TABLE t.c (n int GENERATED ALWAYS AS IDENTITY, what text, old jsonb, new jsonb, policy jsonb, result text);
INSERT INTO t.c (what, old, new, policy, result) VALUES
	('nothing', '{}', '{}', NULL, 'nothing'),
	('no array of entities either', '[]', '[]', '{}', 'nothing'),
	('the same again', '{"a": {"v": 1}, "b": {"v": 2}}', '{"a": {"v": 1}, "b": {"v": 2}}', NULL, 'a<-a content, b<-b content'),
	('renumbered', '{"1": {"v": 1}, "2": {"v": 2}}', '{"1": {"v": 2}, "2": {"v": 1.0}}', NULL, '2<-1 content, 1<-2 content'),
	('documents that repeat their ids', '{"1": {"id": "1", "v": 1}, "2": {"_id": 2, "v": 2}}', '{"7": {"id": "7", "v": 2}, "8": {"v": 1}}', NULL, '2<-7 content, 1<-8 content'),
	('arrays', '[{"id": 1, "v": 1}, {"id": "2", "v": 2}]', '[{"id": 2, "v": 1}, {"id": 1.0, "v": 2}]', NULL, '1<-2 content, 2<-1.0 content'),
	('new and gone', '{"a": {"v": 1}, "b": {"v": 2}}', '{"x": {"v": 2}, "y": {"v": 3}}', NULL, 'b<-x content, +y, -a'),
	('what is new does not get an id that was there', '{"1": {"v": 1}, "1-2": {"v": 2}}', '{"1": {"v": 3}, "2": {"v": 1}, "1-3": {"v": 4}}', NULL, '+1 as 1-4, 1<-2 content, +1-3, -1-2'),
	('alike: not told apart', '{"a": {"v": 1}, "b": {"v": 1}}', '{"x": {"v": 1}, "y": {"v": 1}}', NULL, '+x, +y, -a, -b'),
	('... one of them alone in the import', '{"a": {"v": 1}, "b": {"v": 1}}', '{"x": {"v": 1}}', NULL, '+x, -a, -b'),
	('... but for those that keep their ids', '{"a": {"v": 1}, "b": {"v": 1}, "c": {"v": 1}}', '{"b": {"v": 1}, "c": {"v": 1}, "d": {"v": 1}}', NULL, 'b<-b content, c<-c content, a<-d content'),
	('what the policy ignores', '{"1": {"v": 1, "t": 1}}', '{"2": {"v": 1, "t": 2}}', '{"ignore": ["/t"]}', '1<-2 content'),
	('null that is absent', '{"1": {"v": 1, "t": null}}', '{"2": {"v": 1}}', '{"null": "absent"}', '1<-2 content'),
	('a key', '{"1": {"title": "CPU", "v": 1}, "2": {"title": "RAM", "v": 1}}', '{"1": {"title": "RAM", "v": 2}, "2": {"title": "CPU", "v": 2}}', '{"match": ["/title"]}', '2<-1 /title, 1<-2 /title'),
	('... inside of the document', '{"1": {"data": {"name": "a"}}}', '{"2": {"data": {"name": "a", "v": 1}}}', '{"match": ["/data/name"]}', '1<-2 /data/name'),
	('... by value', '{"1": {"k": 1, "v": 1}}', '{"2": {"k": 1.0, "v": 2}}', '{"match": ["/k"]}', '1<-2 /k'),
	('... null and the empty text are none', '{"1": {"k": null, "v": 1}, "2": {"k": "", "v": 1}}', '{"3": {"k": null, "v": 2}, "4": {"k": "", "v": 2}}', '{"match": ["/k"]}', '+3, +4, -1, -2'),
	('... twice on one side', '{"1": {"k": "a", "v": 1}, "2": {"k": "a", "v": 2}}', '{"3": {"k": "a", "v": 3}}', '{"match": ["/k"]}', '+3, -1, -2'),
	('contents come before keys', '{"1": {"k": "a", "v": 1}, "2": {"k": "b", "v": 2}}', '{"1": {"k": "b", "v": 2}, "2": {"k": "a", "v": 2}}', '{"match": ["/k"]}', '2<-1 content, 1<-2 /k'),
	('keys in turn', '{"1": {"k": "a", "l": 1, "v": 1}, "2": {"k": "b", "l": 2, "v": 1}}', '{"3": {"k": "b", "l": 1, "v": 2}, "4": {"k": "c", "l": 1, "v": 2}}', '{"match": ["/k", "/l"]}', '2<-3 /k, 1<-4 /l'),
	('a key of several members', '{"1": {"type": "row", "title": "CPU"}, "2": {"type": "graph", "title": "CPU", "v": 1}}', '{"3": {"type": "graph", "title": "CPU", "v": 2}, "4": {"type": "row", "title": "CPU", "v": 3}}', '{"match": [["/type", "/title"]]}', '2<-3 /type /title, 1<-4 /type /title'),
	('the id as the last key', '{"1": {"v": 1}, "2": {"v": 2}}', '{"1": {"v": 3}, "3": {"v": 2}}', '{"match": ["/id"]}', '1<-1 /id, 2<-3 content'),
	('references tell those that are alike', '{"a": {"n": 1}, "b": {"n": 2}, "ab": {"from": "a", "to": "b"}, "ba": {"from": "b", "to": "a"}}', '{"1": {"n": 2}, "2": {"n": 1}, "3": {"from": "1", "to": "2"}, "4": {"from": "2", "to": "1"}}', '{"references": ["/from", "/to"]}', 'b<-1 content, a<-2 content, ba<-3 content, ab<-4 content'),
	('... not by the ids that they hold', '{"1": {"n": 1}, "2": {"n": 2}, "3": {"n": 3}, "x": {"to": "1"}, "y": {"to": "2"}}', '{"2": {"n": 1}, "1": {"n": 2}, "3": {"n": 3}, "y": {"to": "2"}, "x": {"to": "1"}}', '{"references": ["/to"]}', '2<-1 content, 1<-2 content, 3<-3 content, y<-x content, x<-y content'),
	('... arrays of them', '{"a": {"n": 1}, "b": {"n": 2}, "p": {"of": ["a", "b"]}, "q": {"of": ["b"]}}', '{"1": {"n": 1}, "2": {"n": 2}, "3": {"of": ["2"]}, "4": {"of": ["1", "2"]}}', '{"references": ["/of"]}', 'a<-1 content, b<-2 content, q<-3 content, p<-4 content'),
	('... to what is in neither', '{"a": {"to": "far"}, "b": {"to": "away"}}', '{"1": {"to": "away"}, "2": {"to": "far"}}', '{"references": ["/to"]}', 'b<-1 content, a<-2 content'),
	('... on many levels', '{"a": {"n": 1}, "b": {"in": "a"}, "c": {"in": "b"}, "d": {"in": "c"}}', '{"4": {"n": 1}, "3": {"in": "4"}, "2": {"in": "3"}, "1": {"in": "2"}}', '{"references": ["/in"]}', 'd<-1 content, c<-2 content, b<-3 content, a<-4 content'),
	('titles that are there in each row', '{"1": {"title": "A"}, "2": {"title": "B"}, "3": {"title": "Load", "row": "1", "v": 1}, "4": {"title": "Load", "row": "2", "v": 1}}',
		'{"1": {"title": "B"}, "2": {"title": "Load", "row": "1", "v": 2}, "3": {"title": "A"}, "4": {"title": "Load", "row": "3", "v": 2}}', '{"references": ["/row"], "match": ["/title"]}', '2<-1 content, 4<-2 /title, 1<-3 content, 3<-4 /title'),
	('... moved to another row', '{"1": {"title": "A"}, "2": {"title": "B"}, "3": {"title": "Load", "row": "1"}}', '{"1": {"title": "A"}, "2": {"title": "B"}, "3": {"title": "Load", "row": "2"}}', '{"references": ["/row"], "match": ["/title"]}', '1<-1 content, 2<-2 content, 3<-3 /title'),
	('... where nothing but its contents tell it', '{"1": {"n": 1}, "2": {"n": 2}, "3": {"v": "Load", "row": "1"}}', '{"1": {"n": 1}, "2": {"n": 2}, "9": {"v": "Load", "row": "2"}}', '{"references": ["/row"]}', '1<-1 content, 2<-2 content, 3<-9 content'),
	('rings of references', '{"a": {"to": "b"}, "b": {"to": "a"}, "c": {"to": "c"}}', '{"1": {"to": "2"}, "2": {"to": "1"}, "3": {"to": "3"}}', '{"references": ["/to"]}', '+1, +2, +3, -a, -b, -c');

SELECT plan((SELECT count(*)::int FROM t.c) * 2 + 19);
SELECT is(t.short(old, new, policy), result, what) FROM t.c ORDER BY n;
-- Each entity of either side is in one row, whatever the order of the names.
SELECT ok((SELECT array_agg(old_id ORDER BY old_id) FILTER (WHERE old_id IS NOT NULL) IS NOT DISTINCT FROM (SELECT array_agg(k ORDER BY k) FROM jsonb_object_keys(old) AS k)
	AND array_agg(new_id ORDER BY new_id) FILTER (WHERE new_id IS NOT NULL) IS NOT DISTINCT FROM (SELECT array_agg(k ORDER BY k) FROM jsonb_object_keys(new) AS k)
	AND count(*) = count(DISTINCT m.id) FROM diagsync.match(old, new, policy) AS m), what || ': each once')
  FROM (SELECT n, what, policy, CASE jsonb_typeof(old) WHEN 'object' THEN old ELSE '{}' END AS old, CASE jsonb_typeof(old) WHEN 'object' THEN new ELSE '{}' END AS new FROM t.c) AS c ORDER BY n;

-- ---- Documents as they are to be stored ----------------------------------------------

SELECT results_eq($$ SELECT m.id, doc FROM diagsync.match('{"1": {"id": "1", "n": 1}, "2": {"n": 2}, "x": {"id": 5, "to": "1"}}',
	'{"1": {"id": "1", "n": 2}, "2": {"id": "2", "n": 1}, "e": {"id": 6, "to": "2", "with": ["1", "2", "7"]}, "x": {"id": "x", "to": "x"}, "7": {"to": "2"}}', '{"references": ["/to", "/with"]}') AS m ORDER BY m.id COLLATE "C" $$,
	$$ VALUES ('1', '{"id": "1", "n": 1}'::jsonb), ('2', '{"n": 2}'), ('e', '{"id": 6, "to": "1", "with": ["2", "1", "x"]}'), ('x', '{"id": 5, "to": "1"}'), ('x-2', '{"id": "x-2", "to": "x-2"}') $$,
	'references lead to old ids, and ids are repeated as they were');
SELECT is(t.short('{"1": {"v": 1}}', '{"1": {"v": 2}, "2": {"v": 3}}'), '+1 as 1-2, +2, -1', 'an id is not given to something else');
-- An import that was renumbered, and what plain SQL makes of it.
SELECT t.pair('l', 'p', '{"1": {"title": "CPU", "y": 0}, "2": {"title": "RAM", "y": 1}, "3": {"from": "1", "to": "2"}}');
UPDATE diagsync_public.entity SET doc = doc || '{"y": 5}' WHERE diagram_id = 'p' AND id = '2';
CREATE TABLE t.import AS SELECT m.* FROM diagsync.match((SELECT jsonb_object_agg(id, doc) FROM diagsync_local.entity WHERE diagram_id = 'l'),
	'{"7": {"from": "9", "to": "8"}, "8": {"title": "RAM", "y": 1}, "9": {"title": "CPU", "y": 3}}', '{"match": ["/title"], "references": ["/from", "/to"]}') AS m;
SELECT is(diagsync.put('l', jsonb_agg(doc || jsonb_build_object('id', id))), 1, 'put() of it writes what was edited') FROM t.import WHERE new_id IS NOT NULL;
SELECT is(t.status('l'), 'pending 1/1/0', 'and so it is one change, and no conflict');

-- ---- What it refuses -------------------------------------------------------------------

SELECT throws_ok($$ SELECT * FROM diagsync.match(NULL, '{}') $$, '22004', 'argument "old" must not be null');
SELECT throws_ok($$ SELECT * FROM diagsync.match('{}', NULL) $$, '22004', 'argument "new" must not be null');
SELECT throws_ok(format('SELECT * FROM diagsync.match(%L, ''{}'')', arg), '22023', 'argument "old" does not hold entities', arg)
  FROM (VALUES ('1'), ('null'), ('{"a": 1}'), ('[1]'), ('[{"v": 1}]'), ('[{"id": null}]'), ('[{"id": "a"}, {"id": "a"}]'), ('[{"id": "1"}, {"id": 1}]')) AS v (arg);
SELECT throws_ok($$ SELECT * FROM diagsync.match('{}', '{}', '{"match": "/title"}') $$, '22023', 'invalid merge policy', 'keys that are no array');
SELECT throws_ok($$ SELECT * FROM diagsync.match('{}', '{}', '{"match": [[5]]}') $$, '22023', 'invalid merge policy', 'a key that is no pointer');
SELECT throws_ok($$ SELECT * FROM diagsync.match('{}', '{}', '{"match": [""]}') $$, '22023', 'invalid merge policy', 'a key that is the document');

-- ---- Many ------------------------------------------------------------------------------

SET LOCAL statement_timeout = '60s';
SELECT is(string_agg(format('%s %s', by, n), ', ' ORDER BY by), '/title 10000, content 90000', '100,000 entities, renumbered, each tenth edited')
  FROM (SELECT m.by, count(*) AS n FROM (SELECT jsonb_object_agg(n, jsonb_build_object('title', 't' || n, 'v', n)) AS old, jsonb_object_agg(n * 7919 % 100003, jsonb_build_object('title', 't' || n, 'v', n + (n % 10 = 0)::int)) AS new
	FROM generate_series(1, 100000) AS n) AS x, diagsync.match(old, new, '{"match": ["/title"]}') AS m WHERE old_id = substr(doc ->> 'title', 2) GROUP BY m.by) AS y;
SELECT is(count(*), 20000::bigint, '20,000 alike') FROM (SELECT jsonb_object_agg(n, '{"v": 1}'::jsonb) AS old, jsonb_object_agg(-n, '{"v": 1}'::jsonb) AS new FROM generate_series(1, 10000) AS n) AS x, diagsync.match(old, new, '{"match": ["/v"]}');

SELECT * FROM finish();
ROLLBACK;
