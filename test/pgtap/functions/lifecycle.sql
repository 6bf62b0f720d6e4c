-- Making, linking and dropping copies: create_diagram, share, clone, link,
-- unlink, drop_diagram.
BEGIN;
\ir ../../common/pgtap/helpers.sql
SELECT plan(96);

-- ---- create_diagram -------------------------------------------------------------------

SELECT is(diagsync.create_diagram('One', 'private', 'one', 'the first'), 'one', 'create_diagram returns the id');
SELECT is(to_jsonb(d) - 'created_at' - 'feed_start', jsonb_build_object('id', 'one', 'name', 'One', 'description', 'the first', 'storage_type', 'private', 'owner', 'role:' || current_user,
	'public_copy_id', null, 'last_pushed_at', null, 'last_pulled_at', null, 'public_version', null, 'merge_policy', null, 'seen', null, 'seen_own', null, 'seen_on', null, 'compare_in_full', false, 'seen_policy', null, 'max_entities', null, 'max_size', null, 'feed_pruned', null, 'seen_at', null),
	'and makes an entry') FROM diagsync.directory AS d WHERE id = 'one';
SELECT diagsync.create_diagram('Two') AS two \gset
SELECT is(:'two'::uuid::text, :'two'::text, 'without an id it makes a uuid');
SELECT is(storage_type, 'local', 'of a local diagram') FROM diagsync.directory WHERE id = :'two';
SELECT isnt(diagsync.create_diagram('Two'), :'two'::text, 'a new one each time; names may repeat');
SELECT t.refuses($$ SELECT diagsync.create_diagram('One', 'local', 'one') $$, '42710', '"one"', 'an id is given once');

-- Ids are any text.
CREATE FUNCTION t.odd_ids() RETURNS SETOF text LANGUAGE sql AS $$
	SELECT unnest(ARRAY['it''s', 'say "hi"', E'two\nlines', E'tab\there', 'back\slash', '😀', 'Größe/é', ' ', '%s $1', repeat('é', 255), '/', 'ÄÖ,{}']) $$;
SELECT is(t.pair('local ' || left(id, 240), 'far ' || left(id, 240), jsonb_build_object(id, jsonb_build_object('id', id))), 'far ' || left(id, 240), 'odd ids: ' || quote_literal(left(id, 20)))
  FROM t.odd_ids() AS id;
SELECT is((SELECT count(t.write('far ' || left(id, 240), id, '{"far": true}')::text) FROM t.odd_ids() AS id), 12::bigint, 'edit them all');
SELECT is((SELECT count(*) FROM t.odd_ids() AS id, t.show(diagsync.pull('local ' || left(id, 240))) AS r WHERE r = 'yes +0 ~1 -0 0/0'), 12::bigint, 'and pull them');
SELECT is((SELECT count(*) FROM t.odd_ids() AS id, t.docs('local ' || left(id, 240)) AS d WHERE d = jsonb_build_object(id, '{"far": true}'::jsonb)), 12::bigint, 'each by its id');

-- ---- share ------------------------------------------------------------------------------

SELECT t.make('l', '{"a": {"v": 1}, "b": {"v": 1}}');
UPDATE diagsync.directory SET description = 'What it is' WHERE id = 'l';
SELECT jsonb_agg(xmin::text || ctid::text ORDER BY id) AS rows FROM diagsync_local.entity WHERE diagram_id = 'l' \gset
SELECT is(diagsync.share('l', 'p'), 'p', 'share returns the id of the shared copy');
SELECT is(t.docs('p'), t.docs('l'), 'the shared copy has the same entities');
SELECT is((SELECT jsonb_agg(xmin::text || ctid::text ORDER BY id) FROM diagsync_local.entity WHERE diagram_id = 'l'), :'rows'::jsonb, 'and no local row was written');
SELECT is(jsonb_build_array(name, description, storage_type, owner, public_copy_id, merge_policy), jsonb_build_array('Diagram l', 'What it is', 'public', 'role:' || current_user, NULL, NULL),
	'it is a diagram like the local one') FROM diagsync.directory WHERE id = 'p';
SELECT is(public_copy_id, 'p', 'which is linked to it') FROM diagsync.directory WHERE id = 'l';
SELECT is(t.status('l'), 'in_sync 0/0/0', 'and in sync');
SELECT is(t.base('l'), '{}', 'without any base row');
SELECT t.refuses($$ SELECT diagsync.share('l') $$, '55000', '"l"', 'a linked diagram is not shared again');
SELECT t.refuses($$ SELECT diagsync.share('l', 'other') $$, '55000', '"l"', '... nor to another');
SELECT t.make('l2', '{"a": {"v": 9}}');
SELECT t.refuses($$ SELECT diagsync.share('l2', 'p') $$, '42710', '"p"', 'the target of share must not exist');
SELECT t.refuses($$ SELECT diagsync.share('l2', 'l2') $$, '42710', '"l2"', '... nor be the diagram itself');
SELECT t.refuses($$ SELECT diagsync.share('p') $$, '42809', '"p"', 'only a local diagram is shared');
SELECT t.refuses($$ SELECT diagsync.share('l2', 'x', 'local') $$, '22023', 'local', 'a shared copy is public or private: not local');
SELECT t.refuses($$ SELECT diagsync.share('l2', 'x', 'secret') $$, '22023', 'secret', '... nor anything else');
SELECT diagsync.share('l2', storage_type => 'private') AS q \gset
SELECT is(:'q'::uuid::text, :'q'::text, 'without an id it makes a uuid');
SELECT is(storage_type, 'private', 'a private copy') FROM diagsync.directory WHERE id = :'q';
SELECT is((SELECT jsonb_object_agg(id, doc) FROM diagsync_private.entity WHERE diagram_id = :'q'), '{"a": {"v": 9}}', 'in the schema of its storage type');
SELECT is(t.pair('empty', 'empty far'), 'empty far', 'an empty diagram can be shared');
SELECT t.write('empty', 'a', '{}');
SELECT is(t.show(diagsync.push('empty')), 'yes +1 ~0 -0 0/0', 'and filled later');

-- What was written before share in the same transaction is shared; after it, it is a change.
SELECT t.write('l', 'b', '{"v": 2}'), t.write('p', 'c', '{"v": 3}');
SELECT is(t.status('l'), 'pending 1/1/0', 'edits after share in the same transaction are changes');

-- ---- clone ------------------------------------------------------------------------------

SELECT is(diagsync.clone('p', 'k', 'Copy'), 'k', 'clone returns the id of the local copy');
SELECT is(t.docs('k'), t.docs('p'), 'which has the same entities');
SELECT is(jsonb_build_array(name, storage_type, owner, public_copy_id), jsonb_build_array('Copy', 'local', 'role:' || current_user, 'p'), 'and is linked') FROM diagsync.directory WHERE id = 'k';
SELECT is(t.status('k'), 'in_sync 0/0/0', 'and in sync');
SELECT diagsync.clone('p') AS k2 \gset
SELECT is(:'k2'::uuid::text, :'k2'::text, 'without an id it makes a uuid');
SELECT is(jsonb_build_array(name, description), jsonb_build_array('Diagram l', 'What it is'), 'without a name it takes that of the shared one') FROM diagsync.directory WHERE id = :'k2';
SELECT t.refuses($$ SELECT diagsync.clone('p', 'k') $$, '42710', '"k"', 'the local copy must not exist');
SELECT t.refuses($$ SELECT diagsync.clone('l', 'k3') $$, '42809', '"l"', 'only a shared diagram is cloned');
SELECT is((SELECT count(*) FROM diagsync.directory WHERE public_copy_id = 'p'), 3::bigint, 'many local diagrams may link to the same copy');
SELECT t.write('k', 'a', '{"v": 5}');
SELECT is(t.show(diagsync.push('k')), 'yes +0 ~1 -0 0/0', 'what one pushes');
SELECT is(t.show(diagsync.pull(:'k2')), 'yes +0 ~1 -0 0/0', 'another pulls');
SELECT diagsync.clone(:'q', 'kq');
SELECT is(t.docs('kq'), '{"a": {"v": 9}}', 'a private diagram is cloned likewise');

-- ---- unlink -------------------------------------------------------------------------------

SELECT is(t.base('l'), '{"b": {"v": 1}}', 'a linked diagram has base rows');
SELECT diagsync.unlink('l');
SELECT is(t.base('l'), '{}', 'unlink forgets them');
SELECT is(t.status('l'), 'unlinked', 'and the link');
SELECT is(to_jsonb(d) - '{id,name,description,storage_type,owner,created_at,feed_start}'::text[], '{"public_copy_id": null, "last_pushed_at": null, "last_pulled_at": null,
	"public_version": null, "merge_policy": null, "seen": null, "seen_own": null, "seen_on": null, "compare_in_full": false, "seen_policy": null, "max_entities": null, "max_size": null, "feed_pruned": null, "seen_at": null}', 'and its bookkeeping') FROM diagsync.directory AS d WHERE id = 'l';
SELECT is(t.docs('l'), '{"a": {"v": 1}, "b": {"v": 2}}', 'no entity changes');
SELECT is(t.docs('p'), '{"a": {"v": 5}, "b": {"v": 1}, "c": {"v": 3}}', 'on either end');
SELECT t.write('l', 'b', '{"v": 3}'), t.write('l', 'a', NULL);
SELECT is(t.base('l'), '{}', 'an unlinked diagram keeps no base');
SELECT t.refuses($$ SELECT diagsync.unlink('l') $$, '55000', '"l"', 'it cannot be unlinked again');
SELECT t.refuses(format('SELECT diagsync.%s(%L)', f, 'l'), '55000', '"l"', f || ' of an unlinked diagram') FROM unnest('{push,pull,refresh,changes,conflicts}'::text[]) AS f;
SELECT t.refuses($$ SELECT diagsync.resolve('l', 'a', 'local') $$, '55000', '"l"', 'resolve of an unlinked diagram');
SELECT t.refuses($$ SELECT diagsync.unlink('p') $$, '42809', '"p"', 'a shared diagram has no link');

-- ---- link ---------------------------------------------------------------------------------

SELECT t.make('m', '{"equal": {"v": 1}, "number": {"v": 1}, "mine": {"v": 1}, "differs": {"v": 1}}');
SELECT t.make('n', '{"equal": {"v": 1}, "number": {"v": 1.0}, "theirs": {"v": 1}, "differs": {"v": 2}}', 'public');
SELECT lives_ok($$ SELECT diagsync.link('m', 'n') $$, 'link two copies');
SELECT is(t.status('m'), 'conflict 2/2/1', 'status');
SELECT is(t.changes('m'), 'differs:both:insert>insert:insert_insert mine:local:insert>: theirs:public:>insert:',
	'equal ones agree, one-sided ones are inserts of that side, differing ones conflict');
SELECT is(jsonb_build_array(t.docs('m'), t.docs('n')), '[{"equal": {"v": 1}, "number": {"v": 1}, "mine": {"v": 1}, "differs": {"v": 1}},
	{"equal": {"v": 1}, "number": {"v": 1.0}, "theirs": {"v": 1}, "differs": {"v": 2}}]', 'no entity was written');
SELECT is(jsonb_build_array(last_synced_at, last_pushed_at, last_pulled_at), '[null, null, null]', 'linking is no sync') FROM diagsync.status('m');
SELECT is(t.show(diagsync.pull('m', on_conflict => 'skip')), 'no +1 ~0 -0 0/1', 'pull takes theirs');
SELECT is(t.show(diagsync.push('m', on_conflict => 'local')), 'yes +1 ~1 -0 1/0', 'push sends mine');
SELECT is(t.docs('m'), t.docs('n'), 'both ends agree');
SELECT is(t.base('m'), '{}', 'without any base row left');
SELECT t.refuses($$ SELECT diagsync.link('m', 'n') $$, '55000', '"m"', 'a linked diagram is not linked again');
SELECT t.refuses($$ SELECT diagsync.link('m', 'p') $$, '55000', '"m"', '... nor to another');
SELECT t.refuses($$ SELECT diagsync.link('l', 'm') $$, '42809', '"m"', 'the shared copy must be shared');
SELECT t.refuses($$ SELECT diagsync.link('n', 'p') $$, '42809', '"n"', 'the near end must be local');
SELECT t.refuses($$ SELECT diagsync.link('l', 'l') $$, '42809', '"l"', 'nothing is linked to itself');

-- Relinked after edits on both ends: the base is forgotten, what differs is a conflict.
SELECT diagsync.unlink('m');
SELECT t.write('m', 'mine', '{"v": 7}'), t.write('n', 'theirs', NULL), t.write('m', 'equal', NULL);
SELECT diagsync.link('m', 'n');
SELECT is(t.changes('m'), 'equal:public:>insert: mine:both:insert>insert:insert_insert theirs:local:insert>:', 'linked again: as if for the first time');
SELECT diagsync.unlink('m');
SELECT diagsync.link('m', :'q');
SELECT is(t.changes('m'), 'a:public:>insert: differs:local:insert>: mine:local:insert>: number:local:insert>: theirs:local:insert>:', 'or to another shared copy');
SELECT t.make('e1'), t.make('e2', '{}', 'private');
SELECT diagsync.link('e1', 'e2');
SELECT is(t.status('e1'), 'in_sync 0/0/0', 'two empty ones agree');

-- ---- drop_diagram ---------------------------------------------------------------------------

SELECT t.write('m', 'x', '{}');
SELECT diagsync.drop_diagram('m');
SELECT is((SELECT count(*) FROM diagsync.entity WHERE diagram_id = 'm') + (SELECT count(*) FROM diagsync.directory WHERE id = 'm')
	+ (SELECT count(*) FROM diagsync_local.base WHERE diagram_id = 'm'), 0::bigint, 'a dropped local diagram leaves nothing');
SELECT is(t.docs(:'q'), '{"a": {"v": 9}}', 'its shared copy stays');
SELECT t.refuses($$ SELECT diagsync.status('m') $$, '42704', '"m"', 'it does not exist any more');
SELECT t.write('k', 'a', NULL), t.write('p', 'a', NULL);
SELECT t.docs('k') AS k_docs, t.docs(:'k2') AS k2_docs \gset
SELECT diagsync.drop_diagram('p');
SELECT is((SELECT count(*) FROM diagsync.entity WHERE diagram_id = 'p') + (SELECT count(*) FROM diagsync_public.tombstone WHERE diagram_id = 'p')
	+ (SELECT count(*) FROM diagsync.directory WHERE 'p' IN (id, public_copy_id)), 0::bigint, 'nor does a shared one, tombstones and links included');
SELECT is(jsonb_build_array(t.status('k'), t.status(:'k2'), t.base('k')), '["unlinked", "unlinked", {}]', 'its locals are unlinked');
SELECT is(jsonb_build_array(t.docs('k'), t.docs(:'k2')), jsonb_build_array(:'k_docs'::jsonb, :'k2_docs'::jsonb), 'and keep their entities');
SELECT diagsync.drop_diagram(:'q');
SELECT is((SELECT count(*) FROM diagsync_private.tombstone) + (SELECT count(*) FROM diagsync_private.entity), 0::bigint, 'a private one likewise');
SELECT is(t.status('kq'), 'unlinked', '... with its links');
SELECT is(diagsync.create_diagram('New', 'public', 'p'), 'p', 'its id is free again');
SELECT is(t.docs('p'), '{}', 'for an empty diagram');
SELECT diagsync.link('k', 'p');
SELECT is(t.status('k'), 'pending 2/0/0', 'that can be linked');

SELECT * FROM finish();
ROLLBACK;
