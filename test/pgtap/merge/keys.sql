-- Arrays whose elements have keys, null as none, and policy pointers with "*":
-- the tables of docs/merging.md, case by case. laws, fuzz and model try them at
-- random.
BEGIN;
\ir ../../common/pgtap/helpers.sql
SELECT plan(69);

-- What merges, as "A1 B2": the keys and values of the elements; or the paths in conflict.
CREATE FUNCTION t.elements(array_of jsonb) RETURNS text LANGUAGE sql AS $$
	SELECT coalesce(string_agg((e ->> 'id') || coalesce(e ->> 'v', '') || coalesce(e ->> 'w', ''), ' ' ORDER BY n), '')
	  FROM jsonb_array_elements(array_of) WITH ORDINALITY AS x (e, n) $$;
-- "A1 B2" as elements.
CREATE FUNCTION t.array_of(elements text) RETURNS jsonb LANGUAGE sql AS $$
	SELECT coalesce(jsonb_agg(jsonb_strip_nulls(jsonb_build_object('id', substr(e, 1, 1), 'v', nullif(substr(e, 2, 1), ''), 'w', nullif(substr(e, 3), ''))) ORDER BY n), '[]')
	  FROM regexp_split_to_table(nullif(elements, ''), ' ') WITH ORDINALITY AS x (e, n) $$;
CREATE FUNCTION t.merged(base text, local text, public text) RETURNS text LANGUAGE sql AS $$
	SELECT CASE WHEN m.conflict THEN 'conflict ' || m.paths::text ELSE t.elements(m.merged -> 't') END
	  FROM diagsync.merge(jsonb_build_object('t', t.array_of(base)), jsonb_build_object('t', t.array_of(local)),
		jsonb_build_object('t', t.array_of(public)), '{"granularity": "property", "keys": {"/t": "id"}}') AS m $$;
SELECT is(t.merged(base, local, public), merged, format('%s; %s; %s', base, local, public)) FROM (VALUES
	-- Elements merge as members do.
	('A1 B1', 'A2 B1', 'A1 B2', 'A2 B2'),
	('A11', 'A21', 'A12', 'A22'),
	('A1', 'A2', 'A3', 'conflict {/t/id=A/v}'),
	('A1', 'A2', 'A2', 'A2'),
	('A1 B1', 'B1', 'A1 B2', 'B2'),
	('A1 B1', 'B1', 'A2 B1', 'conflict {/t/id=A}'),
	('A1 B1', 'B1', 'A1', ''),
	('A1 B1', '', 'A1 B2', 'conflict {/t/id=B}'),
	('', 'A1', 'B1', 'B1 A1'),
	('', 'A1', 'A2', 'conflict {/t/id=A/v}'),
	('', 'A1', 'A1', 'A1'),
	('', 'A', 'A1', 'A1'),
	-- What is inserted follows its predecessor, the public ones first.
	('A B', 'A C B', 'A B D', 'A C B D'),
	('A', 'A C', 'A D', 'A D C'),
	('A', 'C A', 'D A', 'D C A'),
	('A', 'A C E', 'A D F', 'A D F C E'),
	('A B', 'A C B', 'A D B', 'A D C B'),
	('A B', 'B C', 'A B D', 'B D C'),
	('A B', 'A C B', 'A', 'A C'),
	('A B C', 'A B X C', 'A C', 'A X C'),
	-- Their order.
	('A B C', 'B A C', 'A B C D', 'B A C D'),
	('A B C', 'A B C D', 'B A C', 'B A C D'),
	('A1 B1 C1', 'B1 A1 C1', 'A1 B1 C2', 'B1 A1 C2'),
	('A B C', 'B A C', 'B A C', 'B A C'),
	('A B C', 'B A C', 'A C B', 'conflict {/t}'),
	('A1 B1 C1', 'B2 A1 C1', 'A1 C1 B3', 'conflict {/t,/t/id=B/v}'),
	('A B C D', 'B A C D', 'A D C', 'A D C'),
	('A B C', 'B A C', 'A C', 'A C'),
	('A B C', 'C B A', 'B C', 'C B')) AS v (base, local, public, merged);

-- Where the array is one value.
CREATE FUNCTION t.paths(base text, local text, public text, policy jsonb) RETURNS text LANGUAGE sql AS $$
	SELECT coalesce(m.merged::text, m.paths::text) FROM diagsync.merge(base::jsonb, local::jsonb, public::jsonb, '{"granularity": "property"}'::jsonb || policy) AS m $$;
SELECT is(t.paths(base, local, public, policy), want, what) FROM (VALUES
	('no key in the base', '{"t":[{"v":1}]}', '{"t":[{"id":1,"v":1}]}', '{"t":[{"id":2,"v":1}]}', '{"keys":{"/t":"id"}}'::jsonb, '{/t}'),
	('no key on one side', '{"t":[{"id":1}]}', '{"t":[{"id":1},{"v":1}]}', '{"t":[{"id":1},{"id":2}]}', '{"keys":{"/t":"id"}}', '{/t}'),
	('a key twice', '{"t":[{"id":1}]}', '{"t":[{"id":1},{"id":1.0}]}', '{"t":[{"id":1},{"id":2}]}', '{"keys":{"/t":"id"}}', '{/t}'),
	('an element that is no object', '{"t":[{"id":1}]}', '{"t":[{"id":1},7]}', '{"t":[{"id":1},{"id":2}]}', '{"keys":{"/t":"id"}}', '{/t}'),
	('a key that is no whole number', '{"t":[{"id":1}]}', '{"t":[{"id":1},{"id":1.5}]}', '{"t":[{"id":1},{"id":2}]}', '{"keys":{"/t":"id"}}', '{/t}'),
	('a key that is null', '{"t":[{"id":1}]}', '{"t":[{"id":1},{"id":null}]}', '{"t":[{"id":1},{"id":2}]}', '{"keys":{"/t":"id"}}', '{/t}'),
	('no array on one side', '{"t":[{"id":1}]}', '{"t":5}', '{"t":[{"id":2}]}', '{"keys":{"/t":"id"}}', '{/t}'),
	('in a group', '{"t":[{"id":1,"a":1,"b":1}]}', '{"t":[{"id":1,"a":2,"b":1}]}', '{"t":[{"id":1,"a":1,"b":2}]}', '{"keys":{"/t":"id"},"groups":[["/t"]]}', '{/t}'),
	('with granularity entity', '{"t":[{"id":1,"a":1,"b":1}]}', '{"t":[{"id":1,"a":2,"b":1}]}', '{"t":[{"id":1,"a":1,"b":2}]}', '{"keys":{"/t":"id"},"granularity":"entity"}', '{""}'),
	-- Keys, and what an element is called.
	('a number and the string of it are two keys', '{"t":[]}', '{"t":[{"id":7,"v":1}]}', '{"t":[{"id":"7","v":2}]}', '{"keys":{"/t":"id"}}', '{"t": [{"v": 2, "id": "7"}, {"v": 1, "id": 7}]}'),
	('1 is 1.0', '{"t":[{"id":1,"v":1}]}', '{"t":[{"id":1.0,"v":2}]}', '{"t":[{"id":1,"v":3}]}', '{"keys":{"/t":"id"}}', '{/t/id=1/v}'),
	('a tolerance is not for keys', '{"t":[{"id":1},{"id":2}],"v":"a"}', '{"t":[{"id":1},{"id":2}],"v":"b"}', '{"t":[{"id":1},{"id":3}],"v":"a"}', '{"keys":{"/t":"id"},"tolerance":5}', '{"t": [{"id": 1}, {"id": 3}], "v": "b"}'),
	('a string like a number is in quotes', '{"t":[{"id":"7","v":1}]}', '{"t":[{"id":"7","v":2}]}', '{"t":[{"id":"7","v":3}]}', '{"keys":{"/t":"id"}}', '{"/t/id=\"7\"/v"}'),
	('... with a minus', '{"t":[{"id":"-","v":1}]}', '{"t":[{"id":"-","v":2}]}', '{"t":[{"id":"-","v":3}]}', '{"keys":{"/t":"id"}}', '{"/t/id=\"-\"/v"}'),
	('... with a quote', '{"t":[{"id":"\"a","v":1}]}', '{"t":[{"id":"\"a","v":2}]}', '{"t":[{"id":"\"a","v":3}]}', '{"keys":{"/t":"id"}}', '{"/t/id=\"\"a\"/v"}'),
	('a negative number', '{"t":[{"id":-7,"v":1}]}', '{"t":[{"id":-7,"v":2}]}', '{"t":[{"id":-7,"v":3}]}', '{"keys":{"/t":"id"}}', '{/t/id=-7/v}'),
	('escapes of a pointer', '{"t":[{"id":"a/b~","v":1}]}', '{"t":[{"id":"a/b~","v":2}]}', '{"t":[{"id":"a/b~","v":3}]}', '{"keys":{"/t":"id"}}', '{/t/id=a~1b~0/v}'),
	('an empty key', '{"t":[{"id":"","v":1}]}', '{"t":[{"id":"","v":2}]}', '{"t":[{"id":"","v":3}]}', '{"keys":{"/t":"id"}}', '{/t/id=/v}'),
	('numbers before strings', '{"t":[]}', '{"t":[{"id":"a","v":1},{"id":10,"v":1},{"id":9,"v":1}]}', '{"t":[{"id":"a","v":2},{"id":10,"v":2},{"id":9,"v":2}]}', '{"keys":{"/t":"id"}}', '{/t/id=9/v,/t/id=10/v,/t/id=a/v}'),
	-- What is inside elements.
	('arrays in elements', '{"p":[{"id":1,"t":[{"r":"A","v":1,"w":1}]}]}', '{"p":[{"id":1,"t":[{"r":"A","v":2,"w":1}]}]}', '{"p":[{"id":1,"t":[{"r":"A","v":1,"w":2}]}]}', '{"keys":{"/p":"id","/p/*/t":"r"}}', '{"p": [{"t": [{"r": "A", "v": 2, "w": 2}], "id": 1}]}'),
	('... in conflict', '{"p":[{"id":1,"t":[{"r":"A","v":1}]}]}', '{"p":[{"id":1,"t":[{"r":"A","v":2}]}]}', '{"p":[{"id":1,"t":[{"r":"A","v":3}]}]}', '{"keys":{"/p":"id","/p/*/t":"r"}}', '{/p/id=1/t/r=A/v}'),
	('a group in each element', '{"t":[{"id":1,"x":1,"y":1},{"id":2,"x":1,"y":1}]}', '{"t":[{"id":1,"x":2,"y":1},{"id":2,"x":1,"y":1}]}', '{"t":[{"id":1,"x":1,"y":1},{"id":2,"x":1,"y":2}]}', '{"keys":{"/t":"id"},"groups":[["/t/*/x","/t/*/y"]]}', '{"t": [{"x": 2, "y": 1, "id": 1}, {"x": 1, "y": 2, "id": 2}]}'),
	('... in conflict', '{"t":[{"id":1,"x":1,"y":1}]}', '{"t":[{"id":1,"x":2,"y":1}]}', '{"t":[{"id":1,"x":1,"y":2}]}', '{"keys":{"/t":"id"},"groups":[["/t/*/x","/t/*/y"]]}', '{/t/id=1/x,/t/id=1/y}'),
	('ignored in elements', '{"t":[{"id":1,"x":1,"y":1}]}', '{"t":[{"id":1,"x":2,"y":1}]}', '{"t":[{"id":1,"x":3,"y":2}]}', '{"keys":{"/t":"id"},"ignore":["/t/*/x"]}', '{"t": [{"x": 3, "y": 2, "id": 1}]}'),
	('latest in elements', '{"t":[{"id":1,"x":1}]}', '{"t":[{"id":1,"x":2}]}', '{"t":[{"id":1,"x":3}]}', '{"keys":{"/t":"id"},"latest":["/t/*/x"]}', '{"t": [{"x": 3, "id": 1}]}'),
	('ignored in any element of an array that is one value', '{"t":[{"x":1},{"x":1}]}', '{"t":[{"x":2},{"x":3}]}', '{"t":[{"x":4},{"x":5}]}', '{"ignore":["/t/*/x"]}', '{"t": [{"x": 4}, {"x": 5}]}'),
	('... and an index says it all of its element', '{"t":[{"x":1,"y":1}]}', '{"t":[{"x":2,"y":1}]}', '{"t":[{"x":3,"y":1}]}', '{"ignore":["/t/*/x","/t/0/y"]}', '{/t}'),
	('arrays that both added', '{}', '{"t":[{"id":1}]}', '{"t":[{"id":2}]}', '{"keys":{"/t":"id"}}', '{"t": [{"id": 2}, {"id": 1}]}'),
	-- Null.
	('null is none: deleted there', '{"v":1,"w":1}', '{"v":null,"w":1}', '{"w":2}', '{"null":"absent"}', '{"w": 2}'),
	('null is none: changed there', '{"v":null}', '{}', '{"v":1}', '{"null":"absent"}', '{"v": 1}'),
	('null is none: of two sides that both set it', '{"v":null}', '{"v":{"a":1}}', '{"v":{"b":1}}', '{"null":"absent"}', '{"v": {"a": 1, "b": 1}}'),
	('null is none: deleted, and changed', '{"v":1}', '{"v":null}', '{"v":2}', '{"null":"absent"}', '{/v}'),
	('null is none: in an array it is a value', '{"v":[1]}', '{"v":[null]}', '{"v":[]}', '{"null":"absent"}', '{/v}'),
	('null is none: inside elements', '{"v":[{"a":null}]}', '{"v":[{}]}', '{"v":[{"b":1}]}', '{"null":"absent"}', '{"v": [{"b": 1}]}'),
	('null is a value', '{"v":null}', '{}', '{"v":1}', '{"null":"value"}', '{/v}')) AS v (what, base, local, public, policy, want);

-- What is refused.
SELECT t.refuses(format('SELECT diagsync.merge(''{}'', ''{}'', ''{}'', %L)', policy), '22023', 'invalid merge policy', policy)
  FROM unnest(ARRAY['{"keys": []}', '{"keys": {"t": "id"}}', '{"keys": {"": "id"}}', '{"keys": {"/t": 1}}', '{"null": "none"}']) AS policy;
SELECT * FROM finish();
ROLLBACK;
