-- Replicas: a row that arrives with a revision of another transaction is no
-- edit made here, as when a dump is restored.
BEGIN;
\ir include/helpers.sql
SELECT plan(49);

SELECT pg_current_xact_id()::text::bigint AS me \gset
-- Insert a row as a dump does.
CREATE FUNCTION t.restore(diagram text, which text, document jsonb, rev bigint, at timestamptz DEFAULT '2020-01-01Z') RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('INSERT INTO %s (diagram_id, id, doc, rev, modified_at, modified_by) VALUES ($1, $2, $3, $4, $5, ''role:elsewhere'')', t.table_of(diagram))
		USING diagram, which, document, rev, at;
END $$;

-- ---- Into a diagram without a link ------------------------------------------------------------

SELECT diagsync.create_diagram(type, type, type) FROM unnest('{local,public,private}'::text[]) AS type;
SELECT t.restore(type, 'a', '{"v": 1}', 3) FROM unnest('{local,public,private}'::text[]) AS type;
SELECT is(jsonb_build_array(rev, modified_at, modified_by), jsonb_build_array(3, '2020-01-01Z'::timestamptz, 'role:elsewhere'), 'a replica stays as it is: ' || storage_type)
  FROM diagsync.entity ORDER BY storage_type;
SELECT t.restore(type, 'future', '{"v": 1}', 9e15::bigint) FROM unnest('{local,public,private}'::text[]) AS type;
SELECT cmp_ok(rev, '<=', :me::bigint, 'a revision of the future is lowered: ' || storage_type) FROM diagsync.entity WHERE id = 'future' ORDER BY storage_type;
SELECT is(jsonb_build_array(doc, modified_at, modified_by), jsonb_build_array('{"v": 1}'::jsonb, '2020-01-01Z'::timestamptz, 'role:elsewhere'), '... and nothing else: ' || storage_type)
  FROM diagsync.entity WHERE id = 'future' ORDER BY storage_type;
INSERT INTO diagsync_public.tombstone VALUES ('public', 'gone', 3, '2020-01-01Z', 'role:elsewhere'), ('public', 'gone in future', 9e15::bigint, NULL, NULL);
INSERT INTO diagsync_private.tombstone VALUES ('private', 'gone', 3, '2020-01-01Z', 'role:elsewhere'), ('private', 'gone in future', 9e15::bigint, NULL, NULL);
SELECT is((SELECT array_agg(rev) FROM diagsync_public.tombstone WHERE id = 'gone'), '{3}', 'a tombstone stays as it is');
SELECT is((SELECT array_agg(deleted_by) FROM diagsync_private.tombstone WHERE id = 'gone'), '{role:elsewhere}', '... in the private table too');
SELECT cmp_ok((SELECT max(rev) FROM diagsync_public.tombstone), '<=', :me::bigint, 'but one of the future is lowered');
SELECT cmp_ok((SELECT max(rev) FROM diagsync_private.tombstone), '<=', :me::bigint, '... in the private table too');
SELECT lives_ok(format($$ SELECT diagsync.clone(%L, %L) $$, type, 'of ' || type), 'a restored diagram can be cloned') FROM unnest('{public,private}'::text[]) AS type;
SELECT is(t.status('of ' || type), 'in_sync 0/0/0', '... and is in sync') FROM unnest('{public,private}'::text[]) AS type;
SELECT is(diagsync.share('local', 'of local'), 'of local', '... or shared');

-- The directory row is updated once in a transaction, and again where that was rolled back.
SELECT diagsync.create_diagram('once', 'public', 'once');
CREATE FUNCTION t.version() RETURNS tid LANGUAGE sql AS $$ SELECT ctid FROM diagsync.directory WHERE id = 'once' $$;
SELECT t.version() AS made \gset
SAVEPOINT s;
SELECT t.restore('once', 'a', '{}', 3);
SELECT isnt(t.version()::text, :'made'::text, 'a replica updates the entry of its diagram');
ROLLBACK TO s;
SELECT t.restore('once', 'a', '{}', 3);
SELECT isnt(t.version()::text, :'made'::text, '... also after that was rolled back');
SELECT t.version() AS touched \gset
SELECT t.restore('once', 'b', '{}', 3);
SELECT is(t.version()::text, :'touched'::text, '... and only once in a transaction');

-- ---- Into a linked local diagram ------------------------------------------------------------------

SELECT t.pair('l', 'p', '{"a": {"v": 1}, "b": {"v": 1}}');
SELECT diagsync.clone('p', 'l2');
SELECT t.restore('l', 'new', '{"v": 2}', 3);
SELECT is(t.base('l'), '{}', 'a local replica has no base row');
SELECT is(rev, 3::bigint, 'and keeps its revision') FROM diagsync_local.entity WHERE diagram_id = 'l' AND id = 'new';
SELECT is(t.status('l'), 'in_sync 0/0/0', 'nothing is known of it as a change');
-- "Own" is this transaction's id and its time.
SELECT t.restore('l', 'chance', '{"v": 2}', :me);
SELECT is(t.base('l'), '{}', 'one with this transaction''s revision by chance, but another time, is a replica too');
SELECT t.restore('l', 'own', '{"v": 2}', :me, now());
SELECT is(t.base('l'), '{"own": null}', 'with its time as well it is an edit');
-- What dump carries goes together: the base row arrives too, before or after.
INSERT INTO diagsync_local.base (diagram_id, id, doc) VALUES ('l', 'new', NULL);
SELECT is(t.changes('l'), 'new:local:insert>: own:local:insert>:', 'with its base row it is a change');
SELECT t.write('l', 'chance', '{"v": 3}');
SELECT is(t.base('l') -> 'chance', '{"v": 2}', 'an edit of a replica has a base');

-- ---- Into a far end that links have seen --------------------------------------------------------------

SELECT t.restore('p', 'new far', '{"v": 3}', 3);
SELECT is(rev, :me::bigint, 'a shared replica that links would miss is stamped anew') FROM diagsync_public.entity WHERE diagram_id = 'p' AND id = 'new far';
SELECT is(jsonb_build_array(modified_at, modified_by), jsonb_build_array('2020-01-01Z'::timestamptz, 'role:elsewhere'), '... and keeps who edited it and when')
  FROM diagsync_public.entity WHERE diagram_id = 'p' AND id = 'new far';
SELECT is(t.changes('l2'), 'new far:public:>insert:', 'it is a public change');
DELETE FROM diagsync_public.entity WHERE diagram_id = 'p' AND id = 'b';
SELECT t.restore('p', 'b', '{"v": 3}', 9e15::bigint);
SELECT is(t.changes('l2'), 'b:public:>update: new far:public:>insert:', 'so is one of the future');
SELECT is(t.show(diagsync.pull('l2')), 'yes +1 ~1 -0 0/0', 'and a pull brings them');
SELECT is(t.docs('l2'), t.docs('p'), 'both ends agree');
COPY diagsync_public.entity (diagram_id, id, doc, rev, modified_at, modified_by) FROM stdin;
p	copied 1	{"v": 3}	3	2020-01-01Z	role:elsewhere
p	copied 2	{"v": 3}	4	2020-01-01Z	role:elsewhere
\.
SELECT is(t.changes('l2'), 'copied 1:public:>insert: copied 2:public:>insert:', 'COPY of replicas likewise');
DELETE FROM diagsync_public.entity WHERE diagram_id = 'p' AND id = 'a';
DELETE FROM diagsync_public.tombstone WHERE diagram_id = 'p' AND id = 'a';
INSERT INTO diagsync_public.tombstone VALUES ('p', 'a', 3, '2020-01-01Z', 'role:elsewhere');
SELECT is(t.changes('l2'), 'a:public:>delete: copied 1:public:>insert: copied 2:public:>insert:', 'and a tombstone');

-- A link that has seen nothing compares in full anyway, so nothing is stamped for it.
SELECT diagsync.create_diagram('q', 'public', 'q'), t.make('m');
SELECT t.restore('q', 'before', '{"v": 3}', 3);
INSERT INTO diagsync.directory (id, name, storage_type, public_copy_id) VALUES ('restored', 'R', 'local', 'q');
SELECT t.restore('q', 'after', '{"v": 3}', 3), t.restore('restored', 'before', '{"v": 3}', 3);
SELECT is(rev, 3::bigint, 'for a link that has seen nothing it is left') FROM diagsync_public.entity WHERE diagram_id = 'q' AND id = 'after';
SELECT is(t.changes('restored'), 'after:public:>insert:', 'which compares in full');
SELECT is(t.show(diagsync.pull('restored')), 'yes +1 ~0 -0 0/0', 'and pulls what it lacks');
SELECT is(t.status('restored'), 'in_sync 0/0/0', 'then it is in sync');

-- "seen" of another cluster, or of a future of this one, counts as nothing.
SELECT t.write('p', 'new far', '{"v": 4}');
SELECT t.changes('l2') AS changes \gset
UPDATE diagsync.directory SET seen = '9000000000:9000000000:', seen_own = NULL WHERE id = 'l2';
SELECT is(t.changes('l2'), :'changes'::text, 'a seen of the future counts as nothing');
UPDATE diagsync.directory SET seen = pg_current_snapshot(), seen_on = 1 WHERE id = 'l2';
SELECT is(t.changes('l2'), :'changes'::text, 'so does one of another cluster');
UPDATE diagsync.directory SET seen = NULL WHERE id = 'l2';
SELECT is(t.changes('l2'), :'changes'::text, 'so does none');
SELECT isnt(t.show(diagsync.pull('l2')), NULL, 'and a pull');
SELECT is(t.docs('l2'), t.docs('p'), '... brings both ends together');

-- ---- What is not to be believed ----------------------------------------------------

SELECT t.make('rp', '{}', 'public');
INSERT INTO diagsync.directory (id, name, storage_type, public_copy_id, seen, seen_own, seen_on)
	VALUES ('rl', 'restored', 'local', 'rp', pg_current_snapshot(), 1, 1);
SELECT is(seen_on, NULL, 'what an entry has seen that was dumped on another cluster means nothing here') FROM diagsync.directory WHERE id = 'rl';

CREATE ROLE regress_replica;
SELECT diagsync.grant_usage('regress_replica'), diagsync.set_owner('rl', 'role:regress_replica');
GRANT INSERT ON diagsync_local.entity TO regress_replica;
CREATE FUNCTION t.write_replica() RETURNS text LANGUAGE plpgsql AS $$BEGIN
	SET LOCAL ROLE regress_replica;
	INSERT INTO diagsync_local.entity (diagram_id, id, doc, rev) VALUES ('rl', 'a', '{}', 1);
	RESET ROLE;
	RETURN 'written';
EXCEPTION WHEN insufficient_privilege THEN
	RETURN SQLERRM;
END$$;
SELECT is(t.write_replica(), 'rows of another transaction''s revision cannot be written into linked diagram "rl"', 'nor does who owns a linked diagram write edits that look dumped, whatever he was granted');

-- What another cluster has recorded as seen says nothing here: a change that nothing
-- but a comparison in full can find is found.
SELECT t.pair('elsewhere', 'far elsewhere', '{"a": {"v": 1}}');
SET LOCAL session_replication_role = replica;
UPDATE diagsync_public.entity SET doc = '{"v": 2}' WHERE diagram_id = 'far elsewhere';
SET LOCAL session_replication_role = origin;
SELECT is(t.status('elsewhere'), 'in_sync 0/0/0', 'a change that no revision tells of');
SET LOCAL session_replication_role = replica;
UPDATE diagsync.directory SET seen_on = seen_on + 1 WHERE id = 'elsewhere';
SET LOCAL session_replication_role = origin;
SELECT is(t.status('elsewhere'), 'pending 0/1/0', '... is found where another cluster has recorded what was seen');

SELECT * FROM finish();
ROLLBACK;
