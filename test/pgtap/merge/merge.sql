-- diagsync.merge(): three documents and a policy. Each row of the tables in
-- docs/merging.md is a case below; then random documents are compared with
-- the rules written out once more in PL/pgSQL.
BEGIN;
\ir ../../common/pgtap/helpers.sql

-- ---- Pointers ------------------------------------------------------------------

-- The keys of a JSON Pointer.
CREATE FUNCTION t.keys(pointer text) RETURNS text[] LANGUAGE sql IMMUTABLE AS $$
	SELECT CASE WHEN pointer = '' THEN '{}'::text[] ELSE (
		SELECT array_agg(replace(replace(key, '~1', '/'), '~0', '~') ORDER BY n)
		  FROM unnest(regexp_split_to_array(substr(pointer, 2), '/')) WITH ORDINALITY AS k (key, n)) END $$;

-- The value at a pointer that leads through objects; null where there is none.
CREATE FUNCTION t.at(document jsonb, pointer text) RETURNS jsonb LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
	key text;
BEGIN
	FOREACH key IN ARRAY t.keys(pointer) LOOP
		document := CASE WHEN jsonb_typeof(document) = 'object' THEN document -> key END;
	END LOOP;
	RETURN document;
END $$;

-- The document with another value there, or none.
CREATE FUNCTION t.put_at(document jsonb, keys text[], value jsonb) RETURNS jsonb LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
	IF keys = '{}' THEN RETURN value; END IF;
	IF value IS NULL THEN RETURN document #- keys; END IF;
	IF jsonb_typeof(document) IS DISTINCT FROM 'object' THEN document := '{}'; END IF;
	RETURN jsonb_set(document, keys[1:1], t.put_at(document -> keys[1], keys[2:], value));
END $$;

-- ---- Cases ---------------------------------------------------------------------

-- Where "paths" is not empty, nothing is merged, and base_values, local_values
-- and public_values are what each document has there. All hold as well with the
-- two sides exchanged, unless the public one is taken for being the newer.
CREATE TABLE t.c (
	n int GENERATED ALWAYS AS IDENTITY,
	policy jsonb,
	what text NOT NULL,
	base jsonb,
	local jsonb,
	public jsonb,
	merged jsonb,
	paths text[] NOT NULL DEFAULT '{}',
	newer boolean NOT NULL DEFAULT false
);

-- The table "A property".
INSERT INTO t.c (policy, what, base, local, public, merged, paths) SELECT '{"granularity": "property"}', v.* FROM (VALUES
	('nobody changed it', '{"v":1}'::jsonb, '{"v":1}'::jsonb, '{"v":1}'::jsonb, '{"v":1}'::jsonb, '{}'::text[]),
	('one side changed it', '{"v":1}', '{"v":2}', '{"v":1}', '{"v":2}', '{}'),
	('one side changed it to something else', '{"v":1}', '{"v":{"a":[1,{"b":null}]}}', '{"v":1}', '{"v":{"a":[1,{"b":null}]}}', '{}'),
	('one side changed an array', '{"v":[1,2]}', '{"v":[2,1]}', '{"v":[1,2]}', '{"v":[2,1]}', '{}'),
	('one side deleted it', '{"v":1}', '{}', '{"v":1}', '{}', '{}'),
	('one side inserted it', '{}', '{"v":1}', '{}', '{"v":1}', '{}'),
	('both changed it, to the same', '{"v":1}', '{"v":2}', '{"v":2}', '{"v":2}', '{}'),
	('both changed it, to the same object', '{"v":1}', '{"v":{"a":[1]}}', '{"v":{"a":[1.0]}}', '{"v":{"a":[1]}}', '{}'),
	('both changed it, to the same array', '{"v":[1]}', '{"v":[1,2]}', '{"v":[1,2]}', '{"v":[1,2]}', '{}'),
	('both deleted it', '{"v":1,"w":1}', '{"w":1}', '{"w":1}', '{"w":1}', '{}'),
	('both deleted an object', '{"v":{"a":1}}', '{}', '{}', '{}', '{}'),
	('three objects', '{"v":{"a":1,"b":1}}', '{"v":{"a":2,"b":1}}', '{"v":{"a":1,"b":2}}', '{"v":{"a":2,"b":2}}', '{}'),
	('three objects, one property changed and one inserted', '{"v":{"a":1}}', '{"v":{"a":2}}', '{"v":{"a":1,"b":2}}', '{"v":{"a":2,"b":2}}', '{}'),
	('three objects, one property changed and one deleted', '{"v":{"a":1,"b":1}}', '{"v":{"a":2,"b":1}}', '{"v":{"a":1}}', '{"v":{"a":2}}', '{}'),
	('three objects, one inserted by each', '{"v":{}}', '{"v":{"a":1}}', '{"v":{"b":1}}', '{"v":{"a":1,"b":1}}', '{}'),
	('three objects, one deleted by each', '{"v":{"a":1,"b":1,"c":1}}', '{"v":{"b":1,"c":1}}', '{"v":{"a":1,"c":1}}', '{"v":{"c":1}}', '{}'),
	('three objects, all deleted', '{"v":{"a":1,"b":1}}', '{"v":{"b":1}}', '{"v":{"a":1}}', '{"v":{}}', '{}'),
	('three objects, deep', '{"v":{"w":{"x":{"a":1,"b":1}}}}', '{"v":{"w":{"x":{"a":2,"b":1}}}}', '{"v":{"w":{"x":{"a":1,"b":2}}}}', '{"v":{"w":{"x":{"a":2,"b":2}}}}', '{}'),
	('different properties of the document', '{"a":1,"b":1}', '{"a":2,"b":1}', '{"a":1,"b":{"new":[]}}', '{"a":2,"b":{"new":[]}}', '{}'),
	('both changed it differently', '{"v":1}', '{"v":2}', '{"v":3}', NULL, '{/v}'),
	('both changed it to another type', '{"v":1}', '{"v":"1"}', '{"v":true}', NULL, '{/v}'),
	('both changed a property deep inside differently', '{"v":{"w":{"a":1,"b":1}}}', '{"v":{"w":{"a":2,"b":1}}}', '{"v":{"w":{"a":3,"b":2}}}', NULL, '{/v/w/a}'),
	('an object here, none there', '{"v":1}', '{"v":{"a":1}}', '{"v":{"b":1}}', NULL, '{/v}'),
	('an array on all sides', '{"v":[1,2]}', '{"v":[1,2,3]}', '{"v":[0,1,2]}', NULL, '{/v}'),
	('an array on all sides, objects in it', '{"v":[{"a":1,"b":1}]}', '{"v":[{"a":2,"b":1}]}', '{"v":[{"a":1,"b":2}]}', NULL, '{/v}'),
	('an array in the base', '{"v":[1]}', '{"v":{"a":1}}', '{"v":{"b":1}}', NULL, '{/v}'),
	('an array on one side', '{"v":{"a":1}}', '{"v":["a"]}', '{"v":{"a":2}}', NULL, '{/v}'),
	('deleted here, changed there', '{"v":1}', '{}', '{"v":2}', NULL, '{/v}'),
	('deleted here, changed inside there', '{"a":{"x":1}}', '{}', '{"a":{"x":2}}', NULL, '{/a}'),
	('deleted here, inserted into there', '{"a":{"x":1}}', '{}', '{"a":{"x":1,"y":1}}', NULL, '{/a}'),
	('deleted here, deleted inside there', '{"a":{"x":1,"y":1}}', '{}', '{"a":{"x":1}}', NULL, '{/a}'),
	('replaced here, changed inside there', '{"a":{"x":1}}', '{"a":5}', '{"a":{"x":2}}', NULL, '{/a}'),
	('replaced here by an array, changed inside there', '{"a":{"x":1}}', '{"a":[]}', '{"a":{"x":2}}', NULL, '{/a}'),
	('replaced here, changed further inside there', '{"o":{"a":{"b":{"c":1}}}}', '{"o":{"a":5}}', '{"o":{"a":{"b":{"c":2}}}}', NULL, '{/o/a}'),
	('replaced here, nothing there', '{"a":{"x":1},"v":1}', '{"a":5,"v":1}', '{"a":{"x":1},"v":2}', '{"a":5,"v":2}', '{}'),
	('emptied here, changed inside there', '{"a":{"x":1}}', '{"a":{}}', '{"a":{"x":2}}', NULL, '{/a/x}'),
	('both inserted it, to the same', '{}', '{"v":1}', '{"v":1}', '{"v":1}', '{}'),
	('both inserted the same object', '{}', '{"v":{"a":1,"b":[2]}}', '{"v":{"b":[2.0],"a":1}}', '{"v":{"a":1,"b":[2]}}', '{}'),
	('both inserted it, differently', '{}', '{"v":1}', '{"v":2}', NULL, '{/v}'),
	('both inserted it, different objects', '{}', '{"v":{"a":1}}', '{"v":{"b":1}}', '{"v":{"a":1,"b":1}}', '{}'),
	('both inserted it, one with more in it', '{}', '{"v":{"a":1}}', '{"v":{"a":1,"b":1}}', '{"v":{"a":1,"b":1}}', '{}'),
	('both inserted it, objects that conflict', '{}', '{"v":{"a":1,"o":{"x":1},"b":1}}', '{"v":{"a":2,"o":{"x":2},"c":1}}', NULL, '{/v/a,/v/o/x}'),
	('both inserted it, one of them an object', '{}', '{"v":{"a":1}}', '{"v":1}', NULL, '{/v}'),
	('both inserted it, arrays', '{}', '{"v":[1]}', '{"v":[2]}', NULL, '{/v}'),
	('all at once', '{"a":1,"b":1,"c":{"x":1,"y":1},"d":1,"f":1}', '{"a":2,"b":2,"c":{"x":2,"y":1},"d":1,"f":2}', '{"a":3,"b":1,"c":{"x":3,"y":2},"d":1,"e":1,"f":2}', NULL, '{/a,/c/x}'),
	('all at once, but what conflicts', '{"b":1,"c":{"x":1,"y":1},"d":1,"f":1}', '{"b":2,"c":{"x":2,"y":1},"d":1,"f":2}', '{"b":1,"c":{"x":1,"y":2},"d":1,"e":1,"f":2}', '{"b":2,"c":{"x":2,"y":2},"d":1,"e":1,"f":2}', '{}'),
	-- Paths.
	('paths in the order of the document', '{"b":1,"aa":{"d":1,"c":1},"aaa":1,"c":1}', '{"b":2,"aa":{"d":2,"c":2},"aaa":2,"c":2}', '{"b":3,"aa":{"d":3,"c":3},"aaa":3,"c":3}', NULL, '{/b,/c,/aa/c,/aa/d,/aaa}'),
	('a slash in a key', '{"a/b":1}', '{"a/b":2}', '{"a/b":3}', NULL, '{/a~1b}'),
	('a tilde in a key', '{"m~n":1}', '{"m~n":2}', '{"m~n":3}', NULL, '{/m~0n}'),
	('a key that looks escaped', '{"~1":1}', '{"~1":2}', '{"~1":3}', NULL, '{/~01}'),
	('both', '{"~/~0/":{"/":1,"~":1}}', '{"~/~0/":{"/":2,"~":2}}', '{"~/~0/":{"/":3,"~":3}}', NULL, '{/~0~1~00~1/~1,/~0~1~00~1/~0}'),
	('an empty key', '{"":1}', '{"":2}', '{"":3}', NULL, '{/}'),
	('empty keys in one another', '{"":{"":{"":1,"a":1}}}', '{"":{"":{"":2,"a":1}}}', '{"":{"":{"":3,"a":2}}}', NULL, '{///}'),
	('an empty key at the end', '{"a":{"":1,"b":1}}', '{"a":{"":2,"b":1}}', '{"a":{"":3,"b":2}}', NULL, '{/a/}'),
	('empty keys merge', '{"":{"":1,"a":1}}', '{"":{"":2,"a":1}}', '{"":{"":1,"a":2}}', '{"":{"":2,"a":2}}', '{}'),
	('a key of digits', '{"0":{"1":1}}', '{"0":{"1":2}}', '{"0":{"1":3}}', NULL, '{/0/1}'),
	('letters, quotes, signs', '{"é \"😀\" \\ %s":1}', '{"é \"😀\" \\ %s":2}', '{"é \"😀\" \\ %s":3}', NULL, ARRAY['/é "😀" \ %s']),
	-- JSON null is a value.
	('null is a value', '{"v":null}', '{"v":1}', '{"v":null}', '{"v":1}', '{}'),
	('null deleted', '{"v":null}', '{}', '{"v":null}', '{}', '{}'),
	('null inserted', '{}', '{"v":null}', '{}', '{"v":null}', '{}'),
	('both inserted null', '{}', '{"v":null}', '{"v":null}', '{"v":null}', '{}'),
	('null here, deleted there', '{"v":1}', '{"v":null}', '{}', NULL, '{/v}'),
	('null deleted here, changed there', '{"v":null}', '{}', '{"v":1}', NULL, '{/v}'),
	('null inserted here, another value there', '{}', '{"v":null}', '{"v":false}', NULL, '{/v}'),
	('null for an object here, changed inside there', '{"v":{"a":1}}', '{"v":null}', '{"v":{"a":2}}', NULL, '{/v}'),
	-- Numbers are equal by value, nothing else is.
	('1.0 is 1', '{"v":1}', '{"v":1.0}', '{"v":2}', '{"v":2}', '{}'),
	('1e2 is 100, deep inside', '{"v":[1,{"a":100}]}', '{"v":[1.00,{"a":1e2}]}', '{"v":2}', '{"v":2}', '{}'),
	('both changed it to 2 and 2.0', '{"v":1}', '{"v":2}', '{"v":2.0}', '{"v":2}', '{}'),
	('digits at the end of a long number', '{"v":12345678901234567890.1}', '{"v":12345678901234567890.2}', '{"v":12345678901234567890.3}', NULL, '{/v}'),
	('a very large number', '{"v":1e400}', '{"v":2e400}', '{"v":1e400}', '{"v":2e400}', '{}'),
	('text is no number', '{"v":1}', '{"v":"1"}', '{"v":2}', NULL, '{/v}'),
	('false, 0, null, "" and nothing are five things', '{"a":false,"b":0,"c":null,"d":""}', '{"a":0,"b":null,"c":"","d":false}', '{"a":null,"b":"","c":false,"d":0}', NULL, '{/a,/b,/c,/d}'),
	('the order of keys is none', '{"a":1,"bb":2}', '{"bb":2,"a":1}', '{"a":1}', '{"a":1}', '{}'),
	('the order in an array is one', '{"v":[1,2],"w":1}', '{"v":[2,1],"w":1}', '{"v":[1,2],"w":2}', '{"v":[2,1],"w":2}', '{}'),
	-- Other documents than objects, and none.
	('no document at all', NULL, NULL, NULL, NULL, '{}'),
	('both deleted the document', '{"v":1}', NULL, NULL, NULL, '{}'),
	('one side deleted the document', '{"v":1}', '{"v":1}', NULL, NULL, '{}'),
	('one side inserted the document', NULL, '{"v":1}', NULL, '{"v":1}', '{}'),
	('both inserted the same document', NULL, '{"v":1}', '{"v":1.0}', '{"v":1}', '{}'),
	('both inserted a document, differently', NULL, '{"a":1}', '{"b":1}', NULL, ARRAY['']),
	('both inserted a document, one with more in it', NULL, '{"a":1}', '{"a":1,"b":1}', NULL, ARRAY['']),
	('both inserted a document, common properties differ', NULL, '{"a":1,"b":1,"d":1,"o":{"x":1,"y":1}}', '{"a":2,"c":1,"d":1,"o":{"x":2,"z":1}}', NULL, '{/a,/o/x}'),
	('document deleted here, changed there', '{"v":1}', NULL, '{"v":2}', NULL, ARRAY['']),
	('a scalar', '1', '2', '1', '2', '{}'),
	('a scalar, both to the same', '1', '2', '2.0', '2', '{}'),
	('a scalar, changed by both', '1', '2', '3', NULL, ARRAY['']),
	('a scalar for an object', '{"v":1}', '5', '{"v":1}', '5', '{}'),
	('a scalar for an object that the other side changed', '{"v":1}', '5', '{"v":2}', NULL, ARRAY['']),
	('a text', '"a"', '"b"', '"c"', NULL, ARRAY['']),
	('null as a document', 'null', '1', 'null', '1', '{}'),
	('null as a document, deleted', 'null', NULL, 'null', NULL, '{}'),
	('null as a document, inserted', NULL, 'null', NULL, 'null', '{}'),
	('null as a document against another', NULL, 'null', '1', NULL, ARRAY['']),
	('null as a document, deleted here, changed there', 'null', NULL, '1', NULL, ARRAY['']),
	('an array as a document', '[1]', '[1,2]', '[1]', '[1,2]', '{}'),
	('an array as a document, changed by both', '[{"a":1,"b":1}]', '[{"a":2,"b":1}]', '[{"a":1,"b":2}]', NULL, ARRAY['']),
	('empty documents', '{}', '{}', '{}', '{}', '{}'),
	('an empty array is no empty object', '{}', '[]', '{}', '[]', '{}')) AS v;

-- Granularity entity, given or by default: the document is one value.
INSERT INTO t.c (policy, what, base, local, public, merged, paths)
SELECT policy, v.* FROM unnest(ARRAY[NULL, '{}', '{"granularity": "entity"}']::jsonb[]) AS policy, (VALUES
	('nobody changed it', '{"v":1}'::jsonb, '{"v":1}'::jsonb, '{"v":1}'::jsonb, '{"v":1}'::jsonb, '{}'::text[]),
	('one side changed it', '{"v":1,"w":1}', '{"v":2,"x":1}', '{"v":1,"w":1}', '{"v":2,"x":1}', '{}'),
	('both changed it, to the same', '{"v":1}', '{"v":2,"w":1}', '{"w":1,"v":2.0}', '{"v":2,"w":1}', '{}'),
	('different properties', '{"v":1,"w":1}', '{"v":2,"w":1}', '{"v":1,"w":2}', NULL, ARRAY['']),
	('the same property', '{"v":1}', '{"v":2}', '{"v":3}', NULL, ARRAY['']),
	('deleted here, changed there', '{"v":1}', NULL, '{"v":2}', NULL, ARRAY['']),
	('deleted by one', '{"v":1}', NULL, '{"v":1}', NULL, '{}'),
	('deleted by both', '{"v":1}', NULL, NULL, NULL, '{}'),
	('inserted by one', NULL, '{"v":1}', NULL, '{"v":1}', '{}'),
	('inserted by both, to the same', NULL, '{"v":1}', '{"v":1}', '{"v":1}', '{}'),
	('inserted by both, differently', NULL, '{"a":1}', '{"b":1}', NULL, ARRAY['']),
	('an empty key is not the document', '{"":1}', '{"":2}', '{"":3}', NULL, ARRAY['']),
	('scalars', '1', '2', '3', NULL, ARRAY['']),
	('arrays', '[1]', '[2]', '[1]', '[2]', '{}')) AS v;

-- Tolerance.
INSERT INTO t.c (policy, what, base, local, public, merged, paths, newer) SELECT '{"granularity": "property", "tolerance": 0.1}', v.* FROM (VALUES
	('closer than that is no change, and is kept', '{"v":1}'::jsonb, '{"v":1.05}'::jsonb, '{"v":1}'::jsonb, '{"v":1.05}'::jsonb, '{}'::text[], false),
	('closer than that, changed there', '{"v":1}', '{"v":1.05}', '{"v":2}', '{"v":2}', '{}', false),
	('just below it', '{"v":1}', '{"v":1.0999999999999999999}', '{"v":2}', '{"v":2}', '{}', false),
	('just that far is a change', '{"v":1}', '{"v":1.1}', '{"v":2}', NULL, '{/v}', false),
	('just that far downwards', '{"v":1}', '{"v":0.9}', '{"v":2}', NULL, '{/v}', false),
	('just that far, alone', '{"v":1}', '{"v":1.1}', '{"v":1}', '{"v":1.1}', '{}', false),
	('both closer: the newer one is kept', '{"v":1}', '{"v":1.05}', '{"v":0.97}', '{"v":0.97}', '{}', true),
	('both changed it to the same', '{"v":1}', '{"v":2}', '{"v":2.05}', '{"v":2.05}', '{}', true),
	('both changed it, just that far apart', '{"v":1}', '{"v":2}', '{"v":2.1}', NULL, '{/v}', false),
	('changed here, closer there', '{"v":1}', '{"v":1.2}', '{"v":1.05}', '{"v":1.2}', '{}', false),
	('changed here, closer there, near each other', '{"v":1}', '{"v":1.12}', '{"v":1.05}', '{"v":1.12}', '{}', false),
	('step by step it is measured from the base', '{"v":1}', '{"v":1.18}', '{"v":2}', NULL, '{/v}', false),
	('across zero', '{"v":-0.04}', '{"v":0.04}', '{"v":2}', '{"v":2}', '{}', false),
	('below zero', '{"v":-1}', '{"v":-1.1}', '{"v":-2}', NULL, '{/v}', false),
	('in an array', '{"v":[1,2]}', '{"v":[1.05,2]}', '{"v":[1,3]}', '{"v":[1,3]}', '{}', false),
	('in an array, alone', '{"v":[1,2]}', '{"v":[1.05,1.95]}', '{"v":[1,2]}', '{"v":[1.05,1.95]}', '{}', false),
	('in an array, just that far', '{"v":[1,2]}', '{"v":[1.1,2]}', '{"v":[1,3]}', NULL, '{/v}', false),
	('in an object in an array', '{"v":[1,{"x":[1]}]}', '{"v":[1,{"x":[1.02]}]}', '{"v":[5,{"x":[1]}]}', '{"v":[5,{"x":[1]}]}', '{}', false),
	('in an array, both to the same', '{"v":[1]}', '{"v":[2]}', '{"v":[2.05]}', '{"v":[2.05]}', '{}', true),
	('an array of another length', '{"v":[1]}', '{"v":[1.05,1]}', '{"v":[2]}', NULL, '{/v}', false),
	('no text', '{"v":"1"}', '{"v":"1.05"}', '{"v":"1"}', '{"v":"1.05"}', '{}', false),
	('no text, in conflict', '{"v":"1"}', '{"v":"1.05"}', '{"v":"2"}', NULL, '{/v}', false),
	('inserted by both', '{}', '{"v":1}', '{"v":1.05}', '{"v":1.05}', '{}', true),
	('inserted here, nothing there', '{}', '{"v":0}', '{}', '{"v":0}', '{}', false),
	('0 is near to no null', '{"v":0}', '{"v":null}', '{"v":1}', NULL, '{/v}', false),
	('a document that only one side changed is that side''s', '{"x":1,"v":1}', '{"x":1.05,"v":1}', '{"x":1,"v":2}', '{"x":1,"v":2}', '{}', false),
	('where both changed it, the number that is not the base''s', '{"x":1,"v":1,"w":1}', '{"x":1.05,"v":2,"w":1}', '{"x":1,"v":1,"w":2}', '{"x":1.05,"v":2,"w":2}', '{}', false),
	('where both changed it, and neither number is', '{"x":1,"v":1,"w":1}', '{"x":1.05,"v":2,"w":1}', '{"x":0.95,"v":1,"w":2}', '{"x":0.95,"v":2,"w":2}', '{}', true),
	('an object that only one side changed is that side''s', '{"o":{"x":1,"v":1},"w":1}', '{"o":{"x":1.05,"v":1},"w":2}', '{"o":{"x":1,"v":2},"w":1}', '{"o":{"x":1,"v":2},"w":2}', '{}', false),
	('deleted here, closer there', '{"v":1,"w":1}', '{"w":1}', '{"v":1.05,"w":2}', '{"w":2}', '{}', false),
	('deleted above here, closer there', '{"o":{"v":1}}', '{}', '{"o":{"v":1.05}}', '{}', '{}', false),
	('document deleted here, closer there', '{"v":1}', NULL, '{"v":1.05}', NULL, '{}', false),
	('as a document', '1', '1.05', '2', '2', '{}', false)) AS v;
INSERT INTO t.c (policy, what, base, local, public, merged, paths, newer) VALUES
	('{"granularity": "property", "tolerance": 0}', 'a tolerance of 0: 1.0 is 1', '{"v":1}', '{"v":1.0}', '{"v":2}', '{"v":2}', '{}', false),
	('{"granularity": "property", "tolerance": 0}', 'a tolerance of 0 is none', '{"v":1}', '{"v":1.0000000001}', '{"v":2}', NULL, '{/v}', false),
	('{"granularity": "property", "tolerance": 1e-20}', 'a small tolerance', '{"v":1}', '{"v":1.000000000000000000001}', '{"v":1.00000000000000000002}', '{"v":1.00000000000000000002}', '{}', false),
	('{"granularity": "property", "tolerance": 1000}', 'a large tolerance', '{"v":1}', '{"v":1000.9}', '{"v":5000}', '{"v":5000}', '{}', false),
	('{"granularity": "property", "tolerance": 0.1}', 'numbers beyond double precision', '{"v":1e400}', '{"v":2e400}', '{"v":3e400}', NULL, '{/v}', false),
	('{"tolerance": 0.1}', 'granularity entity: closer here, changed there', '{"x":1,"v":1}', '{"x":1.05,"v":1}', '{"x":1,"v":2}', '{"x":1,"v":2}', '{}', false),
	('{"tolerance": 0.1}', 'granularity entity: closer here', '{"x":1,"v":1}', '{"x":1.05,"v":1}', '{"x":1,"v":1}', '{"x":1.05,"v":1}', '{}', false),
	('{"tolerance": 0.1}', 'granularity entity: just that far', '{"x":1,"v":1}', '{"x":1.1,"v":1}', '{"x":1,"v":2}', NULL, ARRAY[''], false),
	('{"tolerance": 0.1}', 'granularity entity: both to the same', '{"v":1}', '{"v":2}', '{"v":2.05}', '{"v":2.05}', '{}', true);

-- Ignored.
INSERT INTO t.c (policy, what, base, local, public, merged, paths, newer)
SELECT '{"granularity": "property", "ignore": ["/t", "/o/t", "/list/0/t", "/list/1/0", "/arr/1", "/map/0", "/a~1b", "/no/such/thing"]}', v.* FROM (VALUES
	('ignored: a difference is no change, and is kept', '{"t":1,"v":1}'::jsonb, '{"t":2,"v":1}'::jsonb, '{"t":1,"v":1}'::jsonb, '{"t":2,"v":1}'::jsonb, '{}'::text[], false),
	('ignored: in a document that only the other side changed', '{"t":1,"v":1}', '{"t":2,"v":1}', '{"t":1,"v":2}', '{"t":1,"v":2}', '{}', false),
	('ignored: in a document that only this side changed', '{"t":1,"v":1}', '{"t":2,"v":2}', '{"t":3,"v":1}', '{"t":2,"v":2}', '{}', false),
	('ignored: both, nothing else', '{"t":1,"v":1}', '{"t":2,"v":1}', '{"t":3,"v":1}', '{"t":3,"v":1}', '{}', true),
	('ignored: both, and both changed to the same', '{"t":1,"v":1}', '{"t":2,"v":2}', '{"t":3,"v":2}', '{"t":3,"v":2}', '{}', true),
	('ignored: merged from both, differs here', '{"t":1,"v":1,"w":1}', '{"t":2,"v":2,"w":1}', '{"t":1,"v":1,"w":2}', '{"t":2,"v":2,"w":2}', '{}', false),
	('ignored: merged from both, differs on both', '{"t":1,"v":1,"w":1}', '{"t":2,"v":2,"w":1}', '{"t":3,"v":1,"w":2}', '{"t":3,"v":2,"w":2}', '{}', true),
	('ignored: merged from both, deleted here', '{"t":1,"v":1,"w":1}', '{"v":2,"w":1}', '{"t":1,"v":1,"w":2}', '{"v":2,"w":2}', '{}', false),
	('ignored: merged from both, inserted here', '{"v":1,"w":1}', '{"t":1,"v":2,"w":1}', '{"v":1,"w":2}', '{"t":1,"v":2,"w":2}', '{}', false),
	('ignored: deleted', '{"t":1,"v":1}', '{"v":1}', '{"t":1,"v":1}', '{"v":1}', '{}', false),
	('ignored: deleted, changed there', '{"t":1,"v":1}', '{"v":1}', '{"t":1,"v":2}', '{"t":1,"v":2}', '{}', false),
	('ignored: another type', '{"t":1,"v":1}', '{"t":{"a":[]},"v":1}', '{"t":1,"v":2}', '{"t":1,"v":2}', '{}', false),
	('ignored: all that is in it', '{"t":{"a":1},"v":1,"w":1}', '{"t":{"a":2},"v":2,"w":1}', '{"t":{"a":1,"b":1},"v":1,"w":2}', '{"t":{"a":1,"b":1},"v":2,"w":2}', '{}', true),
	('ignored: conflicts are elsewhere', '{"t":1,"v":1}', '{"t":2,"v":2}', '{"t":3,"v":3}', NULL, '{/v}', false),
	('ignored in an object that only one side changed', '{"o":{"t":1,"x":1},"w":1}', '{"o":{"t":2,"x":1},"w":2}', '{"o":{"t":1,"x":2},"w":1}', '{"o":{"t":1,"x":2},"w":2}', '{}', false),
	('ignored in an object that nobody changed', '{"o":{"t":1},"w":1,"z":1}', '{"o":{"t":2},"w":2,"z":1}', '{"o":{"t":1},"w":1,"z":2}', '{"o":{"t":2},"w":2,"z":2}', '{}', false),
	('ignored in an object merged from both', '{"o":{"t":1,"x":1,"y":1}}', '{"o":{"t":2,"x":2,"y":1}}', '{"o":{"t":1,"x":1,"y":2}}', '{"o":{"t":2,"x":2,"y":2}}', '{}', false),
	('ignored in an object that one side deleted', '{"o":{"t":1,"x":1},"w":1}', '{"w":1}', '{"o":{"t":2,"x":1},"w":2}', '{"w":2}', '{}', false),
	('ignored in an object that one side replaced', '{"o":{"t":1,"x":1},"w":1}', '{"o":5,"w":1}', '{"o":{"t":2,"x":1},"w":2}', '{"o":5,"w":2}', '{}', false),
	('ignored in an object that one side inserted', '{"w":1}', '{"o":{"t":1},"w":1}', '{"w":2}', '{"o":{"t":1},"w":2}', '{}', false),
	('ignored in an object that both inserted', '{}', '{"o":{"t":1,"x":1}}', '{"o":{"t":2,"x":1}}', '{"o":{"t":2,"x":1}}', '{}', true),
	('ignored in a document that both inserted', NULL, '{"t":1,"x":1}', '{"t":2,"x":1}', '{"t":2,"x":1}', '{}', true),
	('ignored in a document that one side deleted', '{"t":1,"x":1}', NULL, '{"t":2,"x":1}', NULL, '{}', false),
	('ignored in an array', '{"list":[{"t":1,"v":1},{"t":1}]}', '{"list":[{"t":2,"v":1},{"t":1}]}', '{"list":[{"t":1,"v":1},{"t":2}]}', '{"list":[{"t":1,"v":1},{"t":2}]}', '{}', false),
	('ignored in an array, alone', '{"list":[{"t":1,"v":1}]}', '{"list":[{"t":2,"v":1}]}', '{"list":[{"t":1,"v":1}]}', '{"list":[{"t":2,"v":1}]}', '{}', false),
	('ignored in an array, both to the same', '{"list":[{"t":1,"v":1}]}', '{"list":[{"t":2,"v":2}]}', '{"list":[{"t":3,"v":2}]}', '{"list":[{"t":3,"v":2}]}', '{}', true),
	('ignored in an array that conflicts', '{"list":[{"t":1,"v":1}]}', '{"list":[{"t":1,"v":2}]}', '{"list":[{"t":1,"v":3}]}', NULL, '{/list}', false),
	('ignored in an array in an array', '{"list":[1,[1,2]]}', '{"list":[1,[9,2]]}', '{"list":[1,[1,3]]}', '{"list":[1,[1,3]]}', '{}', false),
	('ignored: an element of an array', '{"arr":[1,1,1]}', '{"arr":[1,9,1]}', '{"arr":[1,1,2]}', '{"arr":[1,1,2]}', '{}', false),
	('not ignored: another element', '{"arr":[1,1,1]}', '{"arr":[1,1,9]}', '{"arr":[1,1,2]}', NULL, '{/arr}', false),
	('ignored: a number as a key', '{"map":{"0":1,"1":1}}', '{"map":{"0":2,"1":1}}', '{"map":{"0":1,"1":2}}', '{"map":{"0":1,"1":2}}', '{}', false),
	('ignored: an escaped key', '{"a/b":1,"v":1}', '{"a/b":2,"v":1}', '{"a/b":1,"v":2}', '{"a/b":1,"v":2}', '{}', false),
	('ignored nowhere else', '{"x":{"t":1}}', '{"x":{"t":2}}', '{"x":{"t":3}}', NULL, '{/x/t}', false),
	('ignored: the way there is no object', '{"no":1}', '{"no":2}', '{"no":{"such":{"thing":1}}}', NULL, '{/no}', false)) AS v;
INSERT INTO t.c (policy, what, base, local, public, merged, paths, newer) SELECT '{"ignore": ["/t"]}', v.* FROM (VALUES
	('granularity entity, ignored', '{"t":1,"v":1}'::jsonb, '{"t":2,"v":1}'::jsonb, '{"t":1,"v":1}'::jsonb, '{"t":2,"v":1}'::jsonb, '{}'::text[], false),
	('granularity entity, ignored on both', '{"t":1,"v":1}', '{"t":2,"v":1}', '{"t":3,"v":1}', '{"t":3,"v":1}', '{}', true),
	('granularity entity, ignored here, changed there', '{"t":1,"v":1}', '{"t":2,"v":1}', '{"t":3,"v":2}', '{"t":3,"v":2}', '{}', false),
	('granularity entity, ignored, in conflict', '{"t":1,"v":1}', '{"t":2,"v":2}', '{"t":3,"v":3}', NULL, ARRAY[''], false),
	('granularity entity, ignored, deleted there', '{"t":1,"v":1}', '{"t":2,"v":1}', NULL, NULL, '{}', false)) AS v;

-- "latest".
INSERT INTO t.c (policy, what, base, local, public, merged, paths, newer)
SELECT '{"granularity": "property", "latest": ["/l", "/o/l"]}', v.* FROM (VALUES
	('latest: one side changed it', '{"l":1,"v":1}'::jsonb, '{"l":2,"v":1}'::jsonb, '{"l":1,"v":1}'::jsonb, '{"l":2,"v":1}'::jsonb, '{}'::text[], false),
	('latest: one side changed it, the other something else', '{"l":1,"v":1}', '{"l":2,"v":1}', '{"l":1,"v":2}', '{"l":2,"v":2}', '{}', false),
	('latest: one side deleted it', '{"l":1,"v":1}', '{"v":1}', '{"l":1,"v":2}', '{"v":2}', '{}', false),
	('latest: both changed it', '{"l":1,"v":1}', '{"l":2,"v":1}', '{"l":3,"v":1}', '{"l":3,"v":1}', '{}', true),
	('latest: both changed it, one more than that', '{"l":1,"v":1}', '{"l":2,"v":2}', '{"l":3,"v":1}', '{"l":3,"v":2}', '{}', true),
	('latest: both changed it to the same', '{"l":1,"v":1}', '{"l":2,"v":2}', '{"l":2,"v":1}', '{"l":2,"v":2}', '{}', false),
	('latest: objects are one value', '{"l":{"x":1,"y":1}}', '{"l":{"x":2,"y":1}}', '{"l":{"x":1,"y":3}}', '{"l":{"x":1,"y":3}}', '{}', true),
	('latest: arrays', '{"l":[1]}', '{"l":[1,2]}', '{"l":[0,1]}', '{"l":[0,1]}', '{}', true),
	('latest: the older side deleted it', '{"l":1}', '{}', '{"l":2}', '{"l":2}', '{}', true),
	('latest: the newer side deleted it', '{"l":1}', '{"l":2}', '{}', '{}', '{}', true),
	('latest: both inserted it', '{}', '{"l":{"a":1}}', '{"l":{"b":1}}', '{"l":{"b":1}}', '{}', true),
	('latest: conflicts are elsewhere', '{"l":1,"v":1}', '{"l":2,"v":2}', '{"l":3,"v":3}', NULL, '{/v}', false),
	('latest in an object', '{"o":{"l":1,"x":1}}', '{"o":{"l":2,"x":2}}', '{"o":{"l":3,"x":1}}', '{"o":{"l":3,"x":2}}', '{}', true),
	('latest in an object that one side deleted', '{"o":{"l":1,"x":1},"v":1}', '{"v":1}', '{"o":{"l":2,"x":1},"v":1}', '{"v":1}', '{}', false),
	('latest in an object that one side replaced', '{"o":{"l":1,"x":1},"v":1}', '{"o":5,"v":1}', '{"o":{"l":2,"x":1},"v":2}', '{"o":5,"v":2}', '{}', false),
	('latest in an object that one side deleted and the other changed', '{"o":{"l":1,"x":1}}', '{}', '{"o":{"l":2,"x":2}}', NULL, '{/o}', false),
	('latest in a document that one side deleted', '{"l":1,"x":1}', NULL, '{"l":2,"x":1}', NULL, '{}', false),
	('latest in a document that one side deleted and the other changed', '{"l":1,"x":1}', NULL, '{"l":2,"x":2}', NULL, ARRAY[''], false)) AS v;
INSERT INTO t.c (policy, what, base, local, public, merged, paths, newer)
SELECT '{"granularity": "entity", "latest": ["/l"], "ignore": ["/t"]}', v.* FROM (VALUES
	('granularity entity, latest: one side changed it', '{"l":1,"v":1}'::jsonb, '{"l":2,"v":1}'::jsonb, '{"l":1,"v":1}'::jsonb, '{"l":2,"v":1}'::jsonb, '{}'::text[], false),
	('granularity entity, latest: both changed it', '{"l":1,"v":1}', '{"l":2,"v":1}', '{"l":3,"v":1}', '{"l":3,"v":1}', '{}', true),
	('granularity entity, latest here, the rest there', '{"l":1,"v":1,"w":1}', '{"l":2,"v":1,"w":1}', '{"l":1,"v":2,"w":2}', '{"l":2,"v":2,"w":2}', '{}', false),
	('granularity entity, latest on both, the rest here', '{"l":1,"v":1,"w":1}', '{"l":2,"v":2,"w":2}', '{"l":3,"v":1,"w":1}', '{"l":3,"v":2,"w":2}', '{}', true),
	('granularity entity, the rest on both', '{"l":1,"v":1,"w":1}', '{"l":2,"v":2,"w":1}', '{"l":3,"v":1,"w":2}', NULL, ARRAY[''], false),
	('granularity entity, the rest on both to the same', '{"l":1,"v":1}', '{"l":2,"v":2}', '{"l":1,"v":2}', '{"l":2,"v":2}', '{}', false),
	('granularity entity, latest here, the document deleted there', '{"l":1,"v":1}', '{"l":2,"v":1}', NULL, NULL, '{}', false),
	('granularity entity, latest here, the rest there, ignored on both', '{"l":1,"t":1,"v":1}', '{"l":2,"t":2,"v":1}', '{"l":1,"t":3,"v":2}', '{"l":2,"t":3,"v":2}', '{}', true)) AS v;
INSERT INTO t.c (policy, what, base, local, public, merged, paths, newer)
SELECT jsonb_build_object('granularity', granularity, 'latest', '[""]'::jsonb), granularity || ', latest of the document: ' || what, base, local, public, merged, '{}', newer
  FROM unnest('{entity,property}'::text[]) AS granularity, (VALUES
	('both changed it', '{"v":1}'::jsonb, '{"v":2}'::jsonb, '{"v":3}'::jsonb, '{"v":3}'::jsonb, true),
	('different properties', '{"v":1,"w":1}', '{"v":2,"w":1}', '{"v":1,"w":2}', '{"v":1,"w":2}', true),
	('one side changed it', '{"v":1,"w":1}', '{"v":2,"w":1}', '{"v":1,"w":1}', '{"v":2,"w":1}', false),
	('the older side deleted it', '{"v":1}', NULL, '{"v":2}', '{"v":2}', true),
	('the newer side deleted it', '{"v":1}', '{"v":2}', NULL, NULL, true),
	('both inserted it', NULL, '{"a":1}', '{"b":1}', '{"b":1}', true),
	('scalars', '1', '2', '3', '3', true)) AS v (what, base, local, public, merged, newer);

-- Groups.
INSERT INTO t.c (policy, what, base, local, public, merged, paths, newer)
SELECT '{"granularity": "property", "groups": [["/position"], ["/size", "/anchor"], ["/no", "/where"]]}', v.* FROM (VALUES
	('a group of one: different properties in it', '{"position":{"x":1,"y":1}}'::jsonb, '{"position":{"x":2,"y":1}}'::jsonb, '{"position":{"x":1,"y":2}}'::jsonb, NULL::jsonb, '{/position}'::text[], false),
	('a group of one: one side changed it', '{"position":{"x":1,"y":1},"v":1}', '{"position":{"x":2,"y":1},"v":1}', '{"position":{"x":1,"y":1},"v":2}', '{"position":{"x":2,"y":1},"v":2}', '{}', false),
	('a group of one: both to the same', '{"position":{"x":1,"y":1}}', '{"position":{"x":2,"y":1}}', '{"position":{"x":2,"y":1}}', '{"position":{"x":2,"y":1}}', '{}', false),
	('a group of one: one side has more of the same', '{"position":{"x":1,"y":1}}', '{"position":{"x":2,"y":1}}', '{"position":{"x":2,"y":2}}', NULL, '{/position}', false),
	('a group of one: deleted here, changed there', '{"position":{"x":1}}', '{}', '{"position":{"x":2}}', NULL, '{/position}', false),
	('a group of two: one side changed one', '{"anchor":1,"size":1,"v":1}', '{"anchor":1,"size":2,"v":1}', '{"anchor":1,"size":1,"v":2}', '{"anchor":1,"size":2,"v":2}', '{}', false),
	('a group of two: one side changed both', '{"anchor":1,"size":1,"v":1}', '{"anchor":2,"size":2,"v":1}', '{"anchor":1,"size":1,"v":2}', '{"anchor":2,"size":2,"v":2}', '{}', false),
	('a group of two: each side changed one', '{"anchor":1,"size":1}', '{"anchor":2,"size":1}', '{"anchor":1,"size":2}', NULL, '{/size,/anchor}', false),
	('a group of two: one side changed one more', '{"anchor":1,"size":1}', '{"anchor":2,"size":2}', '{"anchor":1,"size":2}', NULL, '{/anchor}', false),
	('a group of two: both changed both to the same', '{"anchor":1,"size":1}', '{"anchor":2,"size":2}', '{"anchor":2.0,"size":2}', '{"anchor":2,"size":2}', '{}', false),
	('a group of two: both changed one to the same', '{"anchor":1,"size":1,"v":1}', '{"anchor":1,"size":2,"v":2}', '{"anchor":1,"size":2,"v":1}', '{"anchor":1,"size":2,"v":2}', '{}', false),
	('a group of two: one inserted here, one changed there', '{"size":1}', '{"anchor":1,"size":1}', '{"size":2}', NULL, '{/size,/anchor}', false),
	('a group of two: one deleted here, one changed there', '{"anchor":1,"size":1}', '{"size":1}', '{"anchor":1,"size":2}', NULL, '{/size,/anchor}', false),
	('a group of two: each side inserted one', '{}', '{"anchor":1}', '{"size":1}', NULL, '{/size,/anchor}', false),
	('a group of two: both deleted both', '{"anchor":1,"size":1,"v":1}', '{"v":1}', '{"v":2}', '{"v":2}', '{}', false),
	('two groups: one changed by each', '{"anchor":1,"position":{"x":1,"y":1}}', '{"anchor":2,"position":{"x":1,"y":1}}', '{"anchor":1,"position":{"x":2,"y":2}}', '{"anchor":2,"position":{"x":2,"y":2}}', '{}', false),
	('what is in no group', '{"v":{"x":1,"y":1}}', '{"v":{"x":2,"y":1}}', '{"v":{"x":1,"y":2}}', '{"v":{"x":2,"y":2}}', '{}', false)) AS v;
INSERT INTO t.c (policy, what, base, local, public, merged, paths, newer)
SELECT '{"granularity": "property", "groups": [["/a/x", "/b/y"]]}', v.* FROM (VALUES
	('a group of two parents: each side changed one', '{"a":{"x":1,"z":1},"b":{"y":1,"z":1}}'::jsonb, '{"a":{"x":2,"z":1},"b":{"y":1,"z":1}}'::jsonb, '{"a":{"x":1,"z":1},"b":{"y":2,"z":1}}'::jsonb, NULL::jsonb, '{/a/x,/b/y}'::text[], false),
	('a group of two parents: one side changed one', '{"a":{"x":1,"z":1},"b":{"y":1,"z":1}}', '{"a":{"x":2,"z":1},"b":{"y":1,"z":1}}', '{"a":{"x":1,"z":2},"b":{"y":1,"z":2}}', '{"a":{"x":2,"z":2},"b":{"y":1,"z":2}}', '{}', false),
	('a group of two parents: one side changed both', '{"a":{"x":1,"z":1},"b":{"y":1,"z":1}}', '{"a":{"x":2,"z":1},"b":{"y":2,"z":1}}', '{"a":{"x":1,"z":2},"b":{"y":1,"z":2}}', '{"a":{"x":2,"z":2},"b":{"y":2,"z":2}}', '{}', false),
	('a group of two parents: one deleted with its parent', '{"a":{"x":1},"b":{"y":1,"z":1}}', '{"b":{"y":1,"z":1}}', '{"a":{"x":1},"b":{"y":1,"z":2}}', '{"b":{"y":1,"z":2}}', '{}', false),
	('a group of two parents: one deleted with its parent, the other changed', '{"a":{"x":1},"b":{"y":1}}', '{"b":{"y":1}}', '{"a":{"x":1},"b":{"y":2}}', NULL, '{/a,/b/y}', false),
	('a group of two parents: one deleted with a parent of more, the other changed', '{"a":{"x":1,"z":1},"b":{"y":1}}', '{"b":{"y":1}}', '{"a":{"x":1,"z":1},"b":{"y":2}}', NULL, '{/a,/b/y}', false),
	('a group of two parents: one replaced with its parent, the other changed', '{"a":{"x":1,"z":1},"b":{"y":1}}', '{"a":5,"b":{"y":1}}', '{"a":{"x":1,"z":1},"b":{"y":2}}', NULL, '{/a,/b/y}', false),
	('a group of two parents: each side deleted one with its parent', '{"a":{"x":1},"b":{"y":1},"c":1}', '{"b":{"y":1},"c":1}', '{"a":{"x":1},"c":1}', NULL, '{/a,/b}', false),
	('a group of two parents: one deleted alone, the other changed', '{"a":{"x":1,"z":1},"b":{"y":1}}', '{"a":{"z":1},"b":{"y":1}}', '{"a":{"x":1,"z":1},"b":{"y":2}}', NULL, '{/a/x,/b/y}', false),
	('a group of two parents: one inserted with its parent', '{"b":{"y":1}}', '{"a":{"x":1},"b":{"y":1}}', '{"b":{"y":1},"c":1}', '{"a":{"x":1},"b":{"y":1},"c":1}', '{}', false),
	('a group of two parents: both deleted with their parents', '{"a":{"x":1},"b":{"y":1},"c":1}', '{"c":1}', '{"a":{"x":1},"b":{"y":1},"c":2}', '{"c":2}', '{}', false)) AS v;
INSERT INTO t.c (policy, what, base, local, public, merged, paths, newer)
SELECT '{"granularity": "property", "groups": [["/p", "/q"], ["/y", "/z"], ["/q", "/r"]]}', v.* FROM (VALUES
	('groups that share a pointer are one', '{"p":1,"q":1,"r":1}'::jsonb, '{"p":2,"q":1,"r":1}'::jsonb, '{"p":1,"q":1,"r":2}'::jsonb, NULL::jsonb, '{/p,/r}'::text[], false),
	('groups that share a pointer: one side', '{"p":1,"q":1,"r":1,"y":1}', '{"p":2,"q":1,"r":2,"y":1}', '{"p":1,"q":1,"r":1,"y":2}', '{"p":2,"q":1,"r":2,"y":2}', '{}', false),
	('groups that share no pointer are two', '{"p":1,"z":1}', '{"p":2,"z":1}', '{"p":1,"z":2}', '{"p":2,"z":2}', '{}', false)) AS v;
INSERT INTO t.c (policy, what, base, local, public, merged, paths, newer)
SELECT '{"granularity": "property", "groups": [["/p/x", "/p/y", "/r"]]}', v.* FROM (VALUES
	('a place that two members of a group are in is named once', '{"p":{"x":1,"y":1},"r":1}'::jsonb, '{"r":1}'::jsonb, '{"p":{"x":1,"y":1},"r":2}'::jsonb, NULL::jsonb, '{/p,/r}'::text[], false)) AS v;
INSERT INTO t.c (policy, what, base, local, public, merged, paths, newer)
SELECT '{"granularity": "property", "groups": [["/p", "/q"], ["/p/x", "/r"]]}', v.* FROM (VALUES
	('groups, one leading into another: each side changed one end', '{"p":{"x":1},"q":1,"r":1}'::jsonb, '{"p":{"x":1},"q":2,"r":1}'::jsonb, '{"p":{"x":1},"q":1,"r":2}'::jsonb, NULL::jsonb, '{/q,/r}'::text[], false),
	('groups, one leading into another: one side', '{"p":{"x":1},"q":1,"r":1,"s":1}', '{"p":{"x":2},"q":1,"r":2,"s":1}', '{"p":{"x":1},"q":1,"r":1,"s":2}', '{"p":{"x":2},"q":1,"r":2,"s":2}', '{}', false)) AS v;
INSERT INTO t.c (policy, what, base, local, public, merged, paths, newer)
SELECT '{"granularity": "property", "groups": [[""]]}', v.* FROM (VALUES
	('the document as a group: different properties', '{"v":1,"w":1}'::jsonb, '{"v":2,"w":1}'::jsonb, '{"v":1,"w":2}'::jsonb, NULL::jsonb, ARRAY[''], false),
	('the document as a group: one side', '{"v":1,"w":1}', '{"v":2,"w":1}', '{"v":1,"w":1}', '{"v":2,"w":1}', '{}', false),
	('the document as a group: deleted', '{"v":1,"w":1}', NULL, '{"v":1,"w":1}', NULL, '{}', false)) AS v;
INSERT INTO t.c (policy, what, base, local, public, merged, paths, newer)
SELECT '{"granularity": "property", "tolerance": 0.1, "groups": [["/x", "/y"]]}', v.* FROM (VALUES
	('a group with a tolerance: closer here, changed there', '{"v":1,"x":1,"y":1}'::jsonb, '{"v":2,"x":1.05,"y":1}'::jsonb, '{"v":1,"x":1,"y":2}'::jsonb, '{"v":2,"x":1,"y":2}'::jsonb, '{}'::text[], false),
	('a group with a tolerance: changed here, closer there, both', '{"v":1,"x":1,"y":1}', '{"v":2,"x":1.05,"y":2}', '{"v":1,"x":0.95,"y":1.05}', '{"v":2,"x":1.05,"y":2}', '{}', false)) AS v;

-- A pointer below another one of a different kind.
INSERT INTO t.c (policy, what, base, local, public, merged, paths, newer) VALUES
	('{"granularity": "property", "ignore": ["/p"], "latest": ["/p"]}', 'ignore beats latest', '{"p":1,"v":1}', '{"p":2,"v":1}', '{"p":1,"v":2}', '{"p":1,"v":2}', '{}', false),
	('{"granularity": "property", "ignore": ["/p"], "groups": [["/p", "/q"]]}', 'ignore beats groups', '{"p":1,"q":1,"v":1}', '{"p":2,"q":1,"v":2}', '{"p":1,"q":2,"v":1}', '{"p":2,"q":2,"v":2}', '{}', false),
	('{"granularity": "property", "latest": ["/p"], "groups": [["/p", "/q"]]}', 'latest beats groups', '{"p":1,"q":1}', '{"p":2,"q":1}', '{"p":1,"q":2}', '{"p":2,"q":2}', '{}', false),
	('{"granularity": "property", "latest": ["/p"], "groups": [["/p", "/q"]]}', 'latest beats groups, both changed it', '{"p":1,"q":1}', '{"p":2,"q":2}', '{"p":3,"q":1}', '{"p":3,"q":2}', '{}', true),
	('{"granularity": "property", "latest": ["/o"], "ignore": ["/o/t"]}', 'ignored beneath latest', '{"o":{"t":1,"x":1}}', '{"o":{"t":2,"x":1}}', '{"o":{"t":1,"x":2}}', '{"o":{"t":1,"x":2}}', '{}', false),
	('{"granularity": "property", "latest": ["/o"], "ignore": ["/o/t"]}', 'ignored beneath latest that both changed', '{"o":{"t":1,"x":1},"v":1}', '{"o":{"t":2,"x":2},"v":2}', '{"o":{"t":3,"x":3},"v":1}', '{"o":{"t":3,"x":3},"v":2}', '{}', true),
	('{"granularity": "property", "groups": [["/o"]], "ignore": ["/o/t"]}', 'ignored beneath a group', '{"o":{"t":1,"x":1},"v":1}', '{"o":{"t":2,"x":1},"v":2}', '{"o":{"t":1,"x":2},"v":1}', '{"o":{"t":1,"x":2},"v":2}', '{}', false),
	('{"granularity": "property", "groups": [["/o"]], "ignore": ["/o/t"]}', 'ignored beneath a group, in conflict', '{"o":{"t":1,"x":1}}', '{"o":{"t":2,"x":2}}', '{"o":{"t":1,"x":3}}', NULL, '{/o}', false),
	('{"granularity": "property", "groups": [["/o", "/q"]], "ignore": ["/o/t"]}', 'ignored beneath a group that the other side changed elsewhere', '{"o":{"t":1},"q":1,"v":1}', '{"o":{"t":2},"q":1,"v":2}', '{"o":{"t":1},"q":2,"v":1}', '{"o":{"t":1},"q":2,"v":2}', '{}', false),
	('{"granularity": "property", "groups": [["/o"]], "latest": ["/o/l"]}', 'latest beneath a group', '{"o":{"l":1,"x":1}}', '{"o":{"l":2,"x":1}}', '{"o":{"l":1,"x":2}}', '{"o":{"l":2,"x":2}}', '{}', false),
	('{"granularity": "property", "groups": [["/o"]], "latest": ["/o/l"]}', 'latest beneath a group, both changed both', '{"o":{"l":1,"x":1}}', '{"o":{"l":2,"x":2}}', '{"o":{"l":3,"x":3}}', NULL, '{/o}', false),
	('{"granularity": "property", "latest": ["/o"], "groups": [["/o/a", "/o/b"]]}', 'a group beneath latest is part of it', '{"o":{"a":1,"b":1,"z":1}}', '{"o":{"a":2,"b":1,"z":2}}', '{"o":{"a":1,"b":2,"z":3}}', '{"o":{"a":1,"b":2,"z":3}}', '{}', true),
	('{"granularity": "property", "latest": ["/o"], "groups": [["/o/a", "/b"]]}', 'a group, one of it beneath latest', '{"o":{"a":1,"z":1},"b":1}', '{"o":{"a":2,"z":2},"b":1}', '{"o":{"a":1,"z":1},"b":2}', '{"o":{"a":2,"z":2},"b":2}', '{}', false),
	('{"granularity": "property", "ignore": ["/o"], "latest": ["/o/l"]}', 'latest beneath ignored is ignored', '{"o":{"l":1,"x":1},"v":1}', '{"o":{"l":2,"x":1},"v":2}', '{"o":{"l":3,"x":1},"v":1}', '{"o":{"l":2,"x":1},"v":2}', '{}', false),
	('{"granularity": "property", "ignore": ["/o"], "groups": [["/o/a", "/b"]]}', 'a group, one of it beneath ignored', '{"o":{"a":1},"b":1,"v":1}', '{"o":{"a":2},"b":1,"v":2}', '{"o":{"a":1},"b":2,"v":1}', '{"o":{"a":2},"b":2,"v":2}', '{}', false),
	('{"granularity": "property", "latest": [""], "groups": [["/a", "/b"]]}', 'a group beneath latest of the document is part of it', '{"a":1,"b":1,"z":1}', '{"a":2,"b":1,"z":2}', '{"a":1,"b":2,"z":3}', '{"a":1,"b":2,"z":3}', '{}', true),
	('{"granularity": "property", "groups": [[""]], "latest": ["/l"]}', 'latest beneath a group of the document', '{"l":1,"v":1,"w":1}', '{"l":2,"v":1,"w":1}', '{"l":3,"v":2,"w":1}', '{"l":3,"v":2,"w":1}', '{}', true),
	('{"granularity": "property", "references": ["/from"]}', 'references are values like any other', '{"from":"a","v":1}', '{"from":"b","v":1}', '{"from":"c","v":2}', NULL, '{/from}', false);

-- ---- The tests -------------------------------------------------------------------

-- What merge() is to return and does return, as text: null is no 'null' there.
CREATE FUNCTION t.want(c t.c) RETURNS jsonb LANGUAGE sql AS $$
	SELECT jsonb_build_object('merged', c.merged, 'no merged', c.merged IS NULL, 'conflict', c.paths <> '{}', 'paths', c.paths,
		'values', jsonb_build_array(
			(SELECT coalesce(array_agg(t.at(c.base, p) ORDER BY n), '{}') FROM unnest(c.paths) WITH ORDINALITY AS x (p, n))::text,
			(SELECT coalesce(array_agg(t.at(c.local, p) ORDER BY n), '{}') FROM unnest(c.paths) WITH ORDINALITY AS x (p, n))::text,
			(SELECT coalesce(array_agg(t.at(c.public, p) ORDER BY n), '{}') FROM unnest(c.paths) WITH ORDINALITY AS x (p, n))::text)) $$;
CREATE FUNCTION t.have(base jsonb, local jsonb, public jsonb, policy jsonb) RETURNS jsonb LANGUAGE sql AS $$
	SELECT jsonb_build_object('merged', merged, 'no merged', merged IS NULL, 'conflict', conflict, 'paths', paths,
		'values', jsonb_build_array(base_values::text, local_values::text, public_values::text))
	  FROM diagsync.merge(base, local, public, policy) $$;
CREATE FUNCTION t.mirrored(c t.c) RETURNS t.c LANGUAGE plpgsql AS $$
DECLARE
	local jsonb := c.local;
BEGIN
	c.local := c.public;
	c.public := local;
	RETURN c;
END $$;

-- The recipe: for each path where the local value is chosen, the public
-- document's is set to it, and the other way round; then they merge, on top of
-- an empty base where both were inserted. Returns what is wrong.
CREATE FUNCTION t.chosen(c t.c) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	n int := cardinality(c.paths);
	choice int;
	i int;
	l jsonb;
	p jsonb;
	value jsonb[];
	result diagsync.merge_result;
BEGIN
	FOR choice IN 0 .. (1 << n) - 1 LOOP
		l := c.local;
		p := c.public;
		value := '{}';
		FOR i IN 1 .. n LOOP
			IF choice & (1 << (i - 1)) = 0 THEN
				value[i] := t.at(c.local, c.paths[i]);
				p := t.put_at(p, t.keys(c.paths[i]), value[i]);
			ELSE
				value[i] := t.at(c.public, c.paths[i]);
				l := t.put_at(l, t.keys(c.paths[i]), value[i]);
			END IF;
		END LOOP;
		result := diagsync.merge(coalesce(c.base, '{}'), l, p, c.policy);
		IF result.conflict IS DISTINCT FROM false THEN
			RETURN format('choice %s: %s and %s conflict at %s', choice, l, p, result.paths);
		END IF;
		FOR i IN 1 .. n LOOP
			IF t.at(result.merged, c.paths[i]) IS DISTINCT FROM value[i] THEN
				RETURN format('choice %s: %s has not %s at %s', choice, result.merged, value[i], c.paths[i]);
			END IF;
		END LOOP;
	END LOOP;
	RETURN NULL;
END $$;

SELECT plan((SELECT count(*) + count(*) FILTER (WHERE NOT newer) + count(*) FILTER (WHERE paths <> '{}') FROM t.c)::int + 51);

SELECT is(t.have(base, local, public, policy), t.want(c), format('%s (%s)', what, policy)) FROM t.c AS c ORDER BY n;
SELECT is(t.have(m.base, m.local, m.public, m.policy), t.want(m), format('the other way round: %s (%s)', m.what, m.policy))
  FROM t.c AS c, t.mirrored(c) AS m WHERE NOT c.newer ORDER BY c.n;
SELECT is(t.chosen(c), NULL, format('a choice for each property: %s (%s)', what, policy)) FROM t.c AS c WHERE paths <> '{}' ORDER BY n;
SELECT cmp_ok(count(*), '>=', 300::bigint, 'there are cases for everything') FROM t.c;

-- The columns by name, and what is missing is no JSON null.
SELECT is(r::text, ROW(NULL::jsonb, true, '{/a,/b,/c}'::text[], ARRAY['1', 'null', NULL]::jsonb[], ARRAY[NULL, '2', 'null']::jsonb[], ARRAY['null', NULL, '3']::jsonb[])::text,
	'paths and values in step') FROM diagsync.merge('{"a":1,"b":null}', '{"b":2,"c":null}', '{"a":null,"c":3}', '{"granularity": "property"}') AS r;
SELECT is(r::text, ROW('{"a":1}'::jsonb, false, '{}'::text[], '{}'::jsonb[], '{}'::jsonb[], '{}'::jsonb[])::text, 'no conflict: empty arrays')
  FROM diagsync.merge('{}', '{"a":1}', '{}') AS r;
SELECT is((SELECT string_agg(attname, ' ' ORDER BY attnum) FROM pg_attribute WHERE attrelid = 'diagsync.merge_result'::regclass AND attnum > 0),
	'merged conflict paths base_values local_values public_values', 'the columns');
SELECT is(jsonb_build_array(provolatile, proisstrict), '["i", false]', 'merge() is immutable and takes nulls') FROM pg_proc WHERE oid = 'diagsync.merge(jsonb, jsonb, jsonb, jsonb)'::regprocedure;

-- ---- What holds for any documents ----------------------------------------------------

SELECT setseed(0.4);
CREATE TABLE t.d AS
	SELECT doc FROM t.c, unnest(ARRAY[base, local, public]) AS doc GROUP BY doc;
CREATE TABLE t.p AS SELECT policy FROM t.c GROUP BY policy;
CREATE TABLE t.pair_of AS
	SELECT policy, (docs)[1 + floor(random() * cardinality(docs))] AS base, (docs)[1 + floor(random() * cardinality(docs))] AS doc
	  FROM t.p, (SELECT array_agg(doc ORDER BY doc::text COLLATE "C") AS docs FROM t.d) AS d, generate_series(1, 1000);
SELECT is_empty($$ SELECT policy, base, doc, merged FROM t.pair_of, diagsync.merge(base, doc, base, policy)
	WHERE conflict OR merged IS DISTINCT FROM doc $$, 'what one side leaves as it was is the other''s');
SELECT is_empty($$ SELECT policy, base, doc, merged FROM t.pair_of, diagsync.merge(base, base, doc, policy)
	WHERE conflict OR merged IS DISTINCT FROM doc $$, '... and the other way round');
SELECT is_empty($$ SELECT policy, base, doc, merged FROM t.pair_of, diagsync.merge(base, doc, doc, policy)
	WHERE conflict OR merged IS DISTINCT FROM doc $$, 'what is equal is merged as it is');
SELECT is_empty($$ SELECT c.base, c.local, c.public, policy FROM t.c, diagsync.merge(base, local, public, policy || '{"granularity": "property"}') AS p,
	diagsync.merge(base, local, public, policy || '{"granularity": "entity"}') AS e WHERE p.conflict AND NOT e.conflict $$,
	'property never conflicts where entity does not');
SELECT is_empty($$ SELECT policy, a.base, a.doc, b.doc FROM (SELECT *, row_number() OVER () AS n FROM t.pair_of) AS a
	JOIN (SELECT doc, 1 + row_number() OVER () AS n FROM t.pair_of) AS b USING (n),
	diagsync.merge(a.base, a.doc, b.doc, policy || '{"granularity": "property"}') AS property, diagsync.merge(a.base, a.doc, b.doc, policy || '{"granularity": "entity"}') AS entity
	WHERE property.conflict AND NOT entity.conflict $$, '... of any three documents');

-- The rules of "A property" once more, without special properties.
CREATE TYPE t.merged AS (doc jsonb, paths text[]);
CREATE FUNCTION t.oracle(base jsonb, local jsonb, public jsonb, path text DEFAULT '') RETURNS t.merged LANGUAGE plpgsql AS $$
DECLARE
	key text;
	part t.merged;
	whole t.merged := ('{}', '{}');
BEGIN
	IF local IS NOT DISTINCT FROM base OR local IS NOT DISTINCT FROM public THEN RETURN (public, '{}')::t.merged; END IF;
	IF public IS NOT DISTINCT FROM base THEN RETURN (local, '{}')::t.merged; END IF;
	IF (base IS NULL OR jsonb_typeof(base) = 'object') AND jsonb_typeof(local) = 'object' AND jsonb_typeof(public) = 'object' THEN
		FOR key IN SELECT k FROM jsonb_object_keys(coalesce(base, '{}') || local || public) WITH ORDINALITY AS x (k, n) ORDER BY n LOOP
			part := t.oracle(base -> key, local -> key, public -> key, path || '/' || replace(replace(key, '~', '~0'), '/', '~1'));
			IF part.doc IS NOT NULL THEN whole.doc := whole.doc || jsonb_build_object(key, part.doc); END IF;
			whole.paths := whole.paths || part.paths;
		END LOOP;
		RETURN whole;
	END IF;
	RETURN (NULL, ARRAY[path])::t.merged;
END $$;

-- A document at random, and one that is near to another.
CREATE FUNCTION t.any(depth int) RETURNS jsonb LANGUAGE sql VOLATILE AS $$
	SELECT CASE WHEN depth > 0 AND random() < 0.7
		THEN (SELECT coalesce(jsonb_object_agg(k, t.any(depth - 1)), '{}') FROM unnest('{a,b,c/d,bb,~}'::text[]) AS k WHERE random() < 0.7)
		ELSE (ARRAY['1', '2', '"1"', 'null', 'true', '[]', '[1, {"a": 1}]', '{}'])[1 + floor(random() * 8)]::jsonb END $$;
CREATE FUNCTION t.near(doc jsonb, depth int, chance float) RETURNS jsonb LANGUAGE sql VOLATILE AS $$
	SELECT CASE WHEN random() < chance / 5 THEN t.any(depth)
		WHEN jsonb_typeof(doc) = 'object' THEN (
			SELECT coalesce(jsonb_object_agg(k, t.near(coalesce(doc -> k, 'null'), depth - 1, chance)), '{}') FROM unnest('{a,b,c/d,bb,~}'::text[]) AS k
			 WHERE CASE WHEN doc ? k THEN random() >= chance / 4 ELSE random() < chance / 4 END)
		WHEN random() < chance THEN t.any(depth)
		ELSE doc END $$;
SELECT setseed(0.5);
CREATE TABLE t.random AS
	SELECT n, base, t.near(base, 3, 0.2) AS local, t.near(base, 3, 0.2) AS public
	  FROM (SELECT n, t.any(3 + n % 2) AS base FROM generate_series(1, 5000) AS n) AS b;
CREATE TABLE t.both AS
	SELECT r.*, o.doc AS want, o.paths AS want_paths, m.merged, m.conflict, m.paths
	  FROM t.random AS r, t.oracle(base, local, public) AS o, diagsync.merge(base, local, public, '{"granularity": "property"}') AS m;
SELECT cmp_ok(count(*) FILTER (WHERE want_paths = '{}' AND local <> base AND public <> base AND local <> public), '>', 300::bigint, 'random documents that merge') FROM t.both;
SELECT cmp_ok(count(*) FILTER (WHERE cardinality(want_paths) > 1), '>', 300::bigint, 'and that conflict in more than one place') FROM t.both;
SELECT is_empty($$ SELECT base, local, public, want_paths, paths FROM t.both WHERE conflict IS DISTINCT FROM (want_paths <> '{}') OR paths IS DISTINCT FROM want_paths LIMIT 3 $$,
	'5,000 random documents conflict where they should');
SELECT is_empty($$ SELECT base, local, public, want, merged FROM t.both WHERE want_paths = '{}' AND merged IS DISTINCT FROM want LIMIT 3 $$, 'and merge to what they should');
SELECT is_empty($$ SELECT * FROM t.both AS b, diagsync.merge(base, public, local, '{"granularity": "property"}') AS m
	WHERE (m.merged, m.conflict, m.paths) IS DISTINCT FROM (b.merged, b.conflict, b.paths) LIMIT 3 $$, 'the sides exchanged, the same');
SELECT is_empty($$ SELECT * FROM t.random AS r, diagsync.merge(base, local, public) AS m
	WHERE m.conflict IS DISTINCT FROM (local <> base AND public <> base AND local <> public) LIMIT 3 $$, 'by entity they conflict wherever both changed them');
SELECT is_empty($$ SELECT base, local, public, paths, t.chosen((0, '{"granularity": "property"}', '', base, local, public, NULL, paths, false)) AS wrong FROM t.both
	WHERE conflict AND cardinality(paths) <= 4 AND t.chosen((0, '{"granularity": "property"}', '', base, local, public, NULL, paths, false)) IS NOT NULL LIMIT 3 $$,
	'every choice for each property of them');
-- With special properties the choices hold, too.
SELECT is_empty(format($q$ SELECT base, local, public, m.paths, t.chosen((0, %1$L, '', base, local, public, NULL, m.paths, false)) AS wrong
	FROM t.random, diagsync.merge(base, local, public, %1$L) AS m
	WHERE conflict AND cardinality(m.paths) <= 4 AND t.chosen((0, %1$L, '', base, local, public, NULL, m.paths, false)) IS NOT NULL LIMIT 3 $q$, policy), 'every choice with ' || policy)
  FROM unnest(ARRAY['{"granularity": "property", "ignore": ["/a", "/b/a", "/bb/~0"]}', '{"granularity": "property", "latest": ["/a", "/b/a"]}',
	'{"granularity": "property", "groups": [["/a"], ["/b", "/bb"]]}', '{"granularity": "property", "groups": [["/c~1d", "/bb"], ["/~0"]], "latest": ["/b"], "ignore": ["/c~1d/a"], "tolerance": 1}',
	'{"granularity": "entity", "latest": ["/a"], "ignore": ["/b"]}']) WITH ORDINALITY AS p (policy, n) ORDER BY n;
-- An ignored property never conflicts, and without it the rest is as ever.
SELECT is_empty($$ SELECT base, local, public FROM t.random, diagsync.merge(base, local, public, '{"granularity": "property", "ignore": ["/a"]}') AS i,
	diagsync.merge(base - 'a', local - 'a', public - 'a', '{"granularity": "property"}') AS w
	WHERE jsonb_typeof(base) = 'object' AND jsonb_typeof(local) = 'object' AND jsonb_typeof(public) = 'object'
	  AND (i.conflict, i.paths, i.merged - 'a') IS DISTINCT FROM (w.conflict, w.paths, w.merged) LIMIT 3 $$, 'an ignored property, and the rest');
SELECT is_empty($$ SELECT base, local, public FROM t.random, diagsync.merge(base, local, public, '{"granularity": "property", "latest": ["/a"]}') AS l,
	diagsync.merge(base - 'a', local - 'a', public - 'a', '{"granularity": "property"}') AS w
	WHERE jsonb_typeof(base) = 'object' AND jsonb_typeof(local) = 'object' AND jsonb_typeof(public) = 'object'
	  AND ((l.conflict, l.paths, l.merged - 'a') IS DISTINCT FROM (w.conflict, w.paths, w.merged)
		OR NOT l.conflict AND l.merged -> 'a' IS DISTINCT FROM CASE WHEN public -> 'a' IS DISTINCT FROM base -> 'a' THEN public -> 'a' ELSE local -> 'a' END) LIMIT 3 $$,
	'a latest property, and the rest');
SELECT is_empty($$ SELECT base, local, public FROM t.random, diagsync.merge(base, local, public, '{"granularity": "property", "groups": [["/a"], ["/b"], ["/bb"], ["/c~1d"], ["/~0"]]}') AS g,
	t.oracle(base, local, public) AS o
	WHERE o.paths = '{}' AND g.conflict AND EXISTS (SELECT FROM unnest(g.paths) AS path WHERE t.at(local, path) IS NOT DISTINCT FROM t.at(base, path)
		OR t.at(public, path) IS NOT DISTINCT FROM t.at(base, path) OR t.at(local, path) IS NOT DISTINCT FROM t.at(public, path)) LIMIT 3 $$, 'groups of one conflict only where both changed them');

-- ---- Policies that are none --------------------------------------------------------------

SELECT is(left(t.error(format('SELECT diagsync.merge(''{}'', ''{}'', ''{}'', %L)', policy)), 5), '22023', 'no policy: ' || policy)
  FROM unnest(ARRAY['1', '"entity"', '[]', 'null', '{"nonsense": 1}', '{"granularity": "properties"}', '{"granularity": 1}', '{"ignore": "/a"}', '{"ignore": ["a"]}',
	'{"ignore": ["/~2"]}', '{"ignore": [""]}', '{"latest": [1]}', '{"tolerance": -1}', '{"tolerance": "1"}', '{"groups": ["/a"]}', '{"references": [""]}', '{"preset": "nix"}'])
	WITH ORDINALITY AS p (policy, n) ORDER BY n;
SELECT is(t.error(format('SELECT diagsync.merge(''{}'', ''{}'', ''{}'', %L)', policy)), NULL, 'a policy: ' || policy)
  FROM unnest(ARRAY['{}', '{"groups": [[""]], "latest": [""]}', '{"preset": "reactflow", "granularity": "entity"}']) AS policy;

-- ---- Extremes --------------------------------------------------------------

SELECT is(paths, '{/a}', 'numbers whose difference is too large to be one')
  FROM diagsync.merge('{"a": 9e131071}', '{"a": -9e131071}', '{"a": 1}', '{"granularity": "property", "tolerance": 0.1}');
SELECT is(paths, '{""}', 'a lone scalar is no array, whatever is ignored of one')
  FROM diagsync.merge('1', '2', '3', '{"ignore": ["/0"]}');
SELECT is(merged, '{"n": 1, "s": 1}', 'an object that both inserted, but for what is latest, is merged')
  FROM diagsync.merge(NULL, '{"n": 1, "s": 1}', '{"n": 1}', '{"granularity": "property", "latest": ["/s"]}');

-- A pointer as deep, and a policy as large, as one likes.
SELECT matches(t.error(format('SELECT diagsync.merge(''{}'', ''{}'', ''{}'', %L)', jsonb_build_object('ignore', jsonb_build_array(repeat('/', 200000))))),
	'^54001', 'a pointer 200,000 deep is refused, not more');
SET LOCAL statement_timeout = '30s';
SELECT is(merged, '{"k1": 2}', 'a policy of 50,000 pointers') FROM diagsync.merge('{"k1": 1}', '{"k1": 2}', '{"k1": 1}',
	jsonb_build_object('granularity', 'property', 'groups', (SELECT jsonb_agg(jsonb_build_array('/k' || n)) FROM generate_series(1, 50000) AS n)));
-- Each level as large as the one around it: no level is compared again for each.
SELECT is(conflict, true, 'a value of 10 MB, 1,000 levels deep') FROM diagsync.merge(
	(repeat('{"a":', 1000) || '"' || repeat('x', 10000000) || '1"' || repeat('}', 1000))::jsonb,
	(repeat('{"a":', 1000) || '"' || repeat('x', 10000000) || '2"' || repeat('}', 1000))::jsonb,
	(repeat('{"a":', 1000) || '"' || repeat('x', 10000000) || '3"' || repeat('}', 1000))::jsonb, '{"granularity": "property"}');
RESET statement_timeout;

SELECT * FROM finish();
ROLLBACK;
