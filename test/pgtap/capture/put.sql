-- put and remove: many entities in one call, into each storage type.
BEGIN;
\ir ../../common/pgtap/helpers.sql
SELECT plan(34);

SELECT diagsync.create_diagram(type, type, type) FROM unnest('{local,public,private}'::text[]) AS type;
CREATE FUNCTION t.rows(diagram text) RETURNS jsonb LANGUAGE sql AS $$
	SELECT jsonb_object_agg(id, x) FROM (
		SELECT id, xmin::text || ctid::text AS x FROM diagsync_local.entity WHERE diagram_id = diagram
		UNION ALL SELECT id, xmin::text || ctid::text FROM diagsync_public.entity WHERE diagram_id = diagram
		UNION ALL SELECT id, xmin::text || ctid::text FROM diagsync_private.entity WHERE diagram_id = diagram) AS r $$;

SELECT is(diagsync.put(d, '[{"id": "a", "v": 1}, {"id": "b", "v": [1, {"x": null}]}, {"v": 1, "id": "ß 😀"}]'), 3, 'put into a diagram that is ' || d)
  FROM unnest('{local,public,private}'::text[]) AS d;
SELECT is(t.docs(d), '{"a": {"id": "a", "v": 1}, "b": {"id": "b", "v": [1, {"x": null}]}, "ß 😀": {"id": "ß 😀", "v": 1}}', 'the documents are as given: ' || d)
  FROM unnest('{local,public,private}'::text[]) AS d;
SELECT is((SELECT array_agg(DISTINCT storage_type) FROM diagsync.entity WHERE diagram_id = d), ARRAY[d], 'in the table of the storage type: ' || d)
  FROM unnest('{local,public,private}'::text[]) AS d;

-- New, different, equal.
SELECT t.rows('local') AS rows \gset
SELECT is(diagsync.put('local', '[{"id": "a", "v": 1.0}, {"id": "b", "v": 2}, {"id": "c"}]'), 2, 'put counts what was new or different');
SELECT is(t.rows('local') - 'b' - 'c', :'rows'::jsonb - 'b', 'and leaves what was equal untouched');
SELECT is(t.docs('local') -> 'b', '{"id": "b", "v": 2}', 'a document is replaced, not merged');
SELECT is(diagsync.put('local', '[]'), 0, 'put nothing');
SELECT is(diagsync.put('local', '[{"id": "c"}]'), 0, 'put what is there');
SELECT is(modified_by, 'role:' || current_user, 'put notes who') FROM diagsync_local.entity WHERE diagram_id = 'local' AND id = 'c';

SELECT is(diagsync.remove(d, '{a,b,never}'), 2, 'remove counts what there was: ' || d) FROM unnest('{local,public,private}'::text[]) AS d;
SELECT is(diagsync.remove('local', '{}'), 0, 'remove nothing');
SELECT is(diagsync.remove('local', '{c,c}'), 1, 'an id given twice counts once');
SELECT is(t.docs('local'), '{"ß 😀": {"id": "ß 😀", "v": 1}}', 'the others stay');
SELECT is((SELECT count(*) FROM diagsync_public.tombstone) + (SELECT count(*) FROM diagsync_private.tombstone), 4::bigint, 'shared ones leave tombstones');

-- The records.
SELECT t.pair('l', 'p', '{"a": {"id": "a"}, "b": {"id": "b"}}');
SELECT diagsync.put('l', '[{"id": "a"}, {"id": "b", "v": 2}, {"id": "n"}]');
SELECT is(t.changes('l'), 'b:local:update>: n:local:insert>:', 'put is a local change');
SELECT is(t.base('l'), '{"b": {"id": "b"}, "n": null}', 'with its base');
SELECT diagsync.remove('l', '{a,n}');
SELECT is(t.changes('l'), 'a:local:delete>: b:local:update>:', 'so is remove');
SELECT diagsync.put('p', '[{"id": "a", "v": 3}, {"id": "x"}]'), diagsync.remove('p', '{b}');
SELECT is(t.changes('l'), 'a:both:delete>update:delete_update b:both:update>delete:update_delete x:public:>insert:', 'and in the shared copy public ones');

-- Many, and as wide as they may be.
SELECT is(diagsync.put('l', (SELECT jsonb_agg(jsonb_build_object('id', n || repeat('é', 250), 'text', repeat('x', 100))) FROM generate_series(1, 5000) AS n)), 5000, 'put 5,000');
SELECT is(diagsync.remove('l', (SELECT array_agg(n || repeat('é', 250)) FROM generate_series(1, 5000) AS n)), 5000, 'remove 5,000');
SELECT is(diagsync.put('public', jsonb_build_array(jsonb_build_object('id', 'big', 'text', (SELECT string_agg(md5(n::text), '') FROM generate_series(1, 30000) AS n)))), 1, 'a document of a megabyte');
SELECT diagsync.clone('public', 'clone');
SELECT is(t.docs('clone'), t.docs('public'), '... goes along');
SELECT is(t.show(diagsync.pull('clone')), 'yes +0 ~0 -0 0/0', '... and compares');

-- All or nothing.
SELECT t.refuses($$ SELECT diagsync.put('local', '[{"id": "new"}, {"id": ""}]') $$, '22023', 'local', 'one bad entity keeps all from being written');

-- The longest ids of the widest characters, which do not compress.
SELECT string_agg(chr(131072 + floor(random() * 42000)::int), '') AS longest_diagram FROM generate_series(1, 255) \gset
SELECT string_agg(chr(131072 + floor(random() * 42000)::int), '') AS longest_entity FROM generate_series(1, 400) \gset
SELECT is(diagsync.create_diagram('Longest', id => :'longest_diagram'), :'longest_diagram', 'a diagram with the longest id');
SELECT is(diagsync.put(:'longest_diagram', jsonb_build_array(jsonb_build_object('id', :'longest_entity'::text))), 1, '... and an entity with the longest');

SELECT * FROM finish();
ROLLBACK;
