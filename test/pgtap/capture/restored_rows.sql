-- Rows that arrive with a revision of another transaction: restored rows, as when a dump
-- is restored, or edits where a link is established.
BEGIN;
\ir ../../common/pgtap/helpers.sql
SELECT no_plan();

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
SELECT is(jsonb_build_array(rev, modified_at, modified_by), jsonb_build_array(3, '2020-01-01Z'::timestamptz, 'role:elsewhere'), 'a restored row stays as it is: ' || storage_type)
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
SELECT isnt(t.version()::text, :'made'::text, 'a restored row updates the entry of its diagram');
ROLLBACK TO s;
SELECT t.restore('once', 'a', '{}', 3);
SELECT isnt(t.version()::text, :'made'::text, '... also after that was rolled back');
SELECT t.version() AS touched \gset
SELECT t.restore('once', 'b', '{}', 3);
SELECT is(t.version()::text, :'touched'::text, '... and only once in a transaction');

-- ---- Into a local diagram whose link is established -----------------------------------------------------
-- Its rows are edits, whatever revision and time they bring.

SELECT t.pair('l', 'p', '{"a": {"v": 1}, "b": {"v": 1}}');
SELECT diagsync.clone('p', 'l2');
CREATE TABLE t.copy AS SELECT * FROM diagsync_local.entity WHERE diagram_id = 'l';
UPDATE t.copy SET rev = 3, modified_at = '2020-01-01Z';
CREATE FUNCTION t.stamps(diagram text, which text) RETURNS text LANGUAGE sql AS $$
	SELECT format('%s %s', CASE WHEN rev = pg_current_xact_id()::text::bigint THEN 'mine' ELSE rev::text END, (modified_at AT TIME ZONE 'UTC')::date)
	  FROM diagsync.entity WHERE diagram_id = diagram AND id = which $$;
SELECT t.restore('l', 'new', '{"v": 2}', 3);
SELECT is(t.base('l'), '{"new": null}', 'a row of another revision is an edit');
SELECT is(t.stamps('l', 'new'), 'mine 2020-01-01', '... has this transaction''s revision and its own time');
INSERT INTO diagsync_local.entity (diagram_id, id, doc, modified_at) VALUES ('l', 'timed', '{"v": 2}', '2020-01-02Z');
SELECT is(t.stamps('l', 'timed'), 'mine 2020-01-02', 'a time of its own is the time of the edit');
INSERT INTO diagsync_local.entity (diagram_id, id, doc, modified_at, modified_by) VALUES ('l', 'timed', '{"v": 3}', '2020-01-03Z', 'role:x')
	ON CONFLICT (diagram_id, id) DO UPDATE SET doc = excluded.doc, modified_at = excluded.modified_at;
SELECT isnt(t.stamps('l', 'timed'), 'mine 2020-01-03', '... of an update it is the clock''s');
SELECT is(t.changes('l'), 'new:local:insert>: timed:local:insert>:', 'both are changes');
CREATE TABLE t.staging (LIKE diagsync_local.entity INCLUDING DEFAULTS);
INSERT INTO t.staging (diagram_id, id, doc) VALUES ('l', 'staged', '{"v": 2}');
UPDATE t.staging SET rev = rev - 1;
INSERT INTO diagsync_local.entity SELECT * FROM t.staging;
SELECT is(t.changes('l'), 'new:local:insert>: staged:local:insert>: timed:local:insert>:', 'what comes from a staging table, too');
COPY diagsync_local.entity (diagram_id, id, doc, rev, modified_at, modified_by) FROM stdin;
l	copied	{"v": 2}	3	2020-01-01Z	role:elsewhere
\.
SELECT is(t.stamps('l', 'copied'), 'mine 2020-01-01', 'so is what COPY brings');
SELECT t.restore('l', 'future', '{"v": 2}', 9e15::bigint);
SELECT is(t.stamps('l', 'future'), 'mine 2020-01-01', '... and a row from the future');
SELECT is(t.show(diagsync.push('l')), 'yes +5 ~0 -0 0/0', 'a push sends them');
SELECT is(t.docs('p'), t.docs('l'), '... as they are');
SELECT is(t.stamps('p', 'copied'), 'mine 2020-01-01', '... with their time');

-- Rows put back from a copy.
DELETE FROM diagsync_local.entity WHERE diagram_id = 'l' AND id IN ('a', 'b');
CREATE TABLE t.deleted AS SELECT diagram_id, id, changed_at FROM diagsync_local.base WHERE diagram_id = 'l';
INSERT INTO diagsync_local.entity SELECT * FROM t.copy;
SELECT is(t.base('l'), '{"a": {"v": 1}, "b": {"v": 1}}', 'put back after a deletion: the base is what was deleted');
SELECT is(t.changes('l'), '', '... and nothing has changed');
SELECT is((SELECT count(*) FROM diagsync_local.entity JOIN t.deleted USING (diagram_id, id) WHERE modified_at >= changed_at), 2::bigint, '... but the time');
SELECT is((SELECT count(*) FROM diagsync_local.base WHERE diagram_id = 'l' AND changed_at IS NULL), 2::bigint, '... which the base rows no longer have');
DELETE FROM diagsync_local.entity WHERE diagram_id = 'l' AND id IN ('a', 'b');
SELECT diagsync.push('l');
INSERT INTO diagsync_local.entity SELECT * FROM t.copy;
SELECT is(t.changes('l'), 'a:local:insert>: b:local:insert>:', 'put back after the deletion was pushed: inserts');
SELECT diagsync.push('l'), diagsync.pull('l2');
SELECT is(t.docs('l2'), t.docs('l'), '... that reach everybody');

-- ---- Into a local diagram whose link was restored ----------------------------------------------------

INSERT INTO diagsync.directory (id, name, storage_type, public_copy_id, seen, seen_own, seen_on)
	SELECT 'r', 'R', 'local', 'p', seen, seen_own, seen_on FROM diagsync.directory WHERE id = 'l';
SELECT is((SELECT seen_on FROM diagsync.directory WHERE id = 'r'), NULL, 'an entry that is inserted loses seen_on');
SELECT is((SELECT seen::text FROM diagsync.directory WHERE id = 'r'), (SELECT seen::text FROM diagsync.directory WHERE id = 'l'), '... and keeps seen');
SELECT t.restore('r', 'new', '{"v": 2}', 3);
SELECT is(t.base('r'), '{}', 'a row of another revision is a restored row: it has no base row');
SELECT is(t.stamps('r', 'new'), '3 2020-01-01', '... and stays as it is');
SELECT t.restore('r', 'own', '{"v": 2}', :me);
SELECT is(t.base('r'), '{"own": null}', 'one of this transaction''s revision is an edit, whatever its time');
-- What a dump carries goes together: the base row arrives too, before or after.
INSERT INTO diagsync_local.base (diagram_id, id, doc) VALUES ('r', 'new', '{"v": 1}');
SELECT is(t.base('r'), '{"new": {"v": 1}, "own": null}', '... with its base row it is a change');
SELECT t.restore('r', 'timed', '{"v": 3}', 4), t.write('r', 'timed', '{"v": 4}');
SELECT is(t.base('r') -> 'timed', '{"v": 3}', 'an edit of a restored row has a base');
-- Rows come before their diagram.
INSERT INTO diagsync_local.entity (diagram_id, id, doc, rev, modified_at) VALUES ('r2', 'e', '{}', 3, '2020-01-01Z');
INSERT INTO diagsync.directory (id, name, storage_type, public_copy_id, seen_on) VALUES ('r2', 'R', 'local', 'p', 'elsewhere');
SELECT is(t.base('r2'), '{}', 'rows that come before the entry of their diagram are restored rows');
SELECT t.refuses($$ INSERT INTO diagsync_local.entity (diagram_id, id, doc, modified_at) VALUES ('r3', 'e', '{}', '2020-01-01Z') $$, '42704', 'r3', 'one of this transaction''s revision is refused there');
-- From its first sync on, the link is established: also where that leaves what is seen as it was.
SELECT diagsync.drop_diagram('r2'), t.pair('s', 'far s', '{"a": {"v": 1}}');
INSERT INTO diagsync.directory (id, name, storage_type, public_copy_id, seen) VALUES ('r2', 'R', 'local', 'far s', '3:3:');
SELECT t.restore('r2', 'a', '{"v": 1}', 3), t.write('far s', 'b', '{"v": 2}'), t.write('r2', 'c', '{"v": 3}');
SELECT is(t.show(diagsync.push('r2')), 'yes +1 ~0 -0 0/0', 'a restored link pushes, and leaves what it has not pulled');
SELECT is((SELECT jsonb_build_array(seen, seen_on) FROM diagsync.directory WHERE id = 'r2'), '["3:3:", "-"]', '... what it has seen still means nothing here');
SELECT is(t.changes('r2'), 'b:public:>insert:', '... so it compares in full');
SELECT t.restore('r2', 'd', '{"v": 3}', 3);
SELECT is(t.base('r2'), '{"d": null}', '... but it is established: rows are edits');
SELECT diagsync.pull('r2');
SELECT is((SELECT jsonb_build_array(seen::text <> '3:3:', seen_on = s.here) FROM diagsync.directory,
	(SELECT (SELECT system_identifier FROM pg_control_system()) || '/' || (SELECT timeline_id FROM pg_control_checkpoint())) AS s(here) WHERE id = 'r2'), '[true, true]', 'a pull notes where it has seen what');

-- ---- Into a shared copy with an established link --------------------------------------------------------------

SELECT t.restore('p', 'new far', '{"v": 3}', 3);
SELECT is(rev, :me::bigint, 'a shared restored row that links would miss is stamped anew') FROM diagsync_public.entity WHERE diagram_id = 'p' AND id = 'new far';
SELECT is(jsonb_build_array(modified_at, modified_by), jsonb_build_array('2020-01-01Z'::timestamptz, 'role:elsewhere'), '... and keeps who edited it and when')
  FROM diagsync_public.entity WHERE diagram_id = 'p' AND id = 'new far';
SELECT is(t.changes('l2'), 'new far:public:>insert:', 'it is a public change');
DELETE FROM diagsync_public.entity WHERE diagram_id = 'p' AND id = 'b';
SELECT t.restore('p', 'b', '{"v": 3}', 9e15::bigint);
SELECT is(t.changes('l2'), 'b:public:>update: new far:public:>insert:', 'so is one of the future');
SELECT is(t.show(diagsync.pull('l2')), 'yes +1 ~1 -0 0/0', 'and a pull brings them');
SELECT is(t.docs('l2'), t.docs('p'), 'both ends agree');
INSERT INTO diagsync_public.entity (diagram_id, id, doc, modified_at) VALUES ('p', 'timed far', '{"v": 3}', '2020-01-02Z');
SELECT is(t.changes('l2'), 'timed far:public:>insert:', 'one with a time of its own is a public change');
SELECT is(t.stamps('p', 'timed far'), 'mine 2020-01-02', '... and keeps it');
SELECT diagsync.pull('l2');
COPY diagsync_public.entity (diagram_id, id, doc, rev, modified_at, modified_by) FROM stdin;
p	copied 1	{"v": 3}	3	2020-01-01Z	role:elsewhere
p	copied 2	{"v": 3}	4	2020-01-01Z	role:elsewhere
\.
SELECT is(t.changes('l2'), 'copied 1:public:>insert: copied 2:public:>insert:', 'COPY of restored rows likewise');
DELETE FROM diagsync_public.entity WHERE diagram_id = 'p' AND id = 'a';
DELETE FROM diagsync_public.tombstone WHERE diagram_id = 'p' AND id = 'a';
INSERT INTO diagsync_public.tombstone VALUES ('p', 'a', 3, '2020-01-01Z', 'role:elsewhere');
SELECT is(t.changes('l2'), 'a:public:>delete: copied 1:public:>insert: copied 2:public:>insert:', 'and a tombstone');

-- A restored link compares in full anyway, so nothing is stamped for it.
SELECT diagsync.create_diagram('q', 'public', 'q'), t.make('m');
SELECT t.restore('q', 'before', '{"v": 3}', 3);
INSERT INTO diagsync.directory (id, name, storage_type, public_copy_id) VALUES ('restored', 'R', 'local', 'q');
SELECT t.restore('q', 'after', '{"v": 3}', 3), t.restore('restored', 'before', '{"v": 3}', 3);
SELECT is(rev, 3::bigint, 'for a restored link it is left') FROM diagsync_public.entity WHERE diagram_id = 'q' AND id = 'after';
SELECT is(t.changes('restored'), 'after:public:>insert:', 'which compares in full');
SELECT is(t.show(diagsync.pull('restored')), 'yes +1 ~0 -0 0/0', 'and pulls what it lacks');
SELECT is(t.status('restored'), 'in_sync 0/0/0', 'then it is in sync');
SELECT t.restore('q', 'later', '{"v": 3}', 3);
SELECT is(t.changes('restored'), 'later:public:>insert:', '... and is established: a shared row is stamped for it');

-- "seen" of another cluster, or of a future of this one, counts as nothing.
SELECT t.write('p', 'new far', '{"v": 4}');
SELECT t.changes('l2') AS changes \gset
UPDATE diagsync.directory SET seen = '9000000000:9000000000:', seen_own = NULL WHERE id = 'l2';
SELECT is(t.changes('l2'), :'changes'::text, 'a seen of the future counts as nothing');
UPDATE diagsync.directory SET seen = pg_current_snapshot(), seen_on = '1/1' WHERE id = 'l2';
SELECT is(t.changes('l2'), :'changes'::text, 'so does one of another cluster');
UPDATE diagsync.directory SET seen = NULL WHERE id = 'l2';
SELECT is(t.changes('l2'), :'changes'::text, 'so does none');
SELECT isnt(t.show(diagsync.pull('l2')), NULL, 'and a pull');
SELECT is(t.docs('l2'), t.docs('p'), '... brings both ends together');

-- ---- What is not to be believed ----------------------------------------------------

SELECT t.make('rp', '{}', 'public');
INSERT INTO diagsync.directory (id, name, storage_type, public_copy_id, seen, seen_own, seen_on)
	VALUES ('rl', 'restored', 'local', 'rp', pg_current_snapshot(), 1, '1/1');
SELECT is(seen_on, NULL, 'what an entry has seen that was dumped elsewhere means nothing here') FROM diagsync.directory WHERE id = 'rl';

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
SELECT is(t.write_replica(), 'rows of another transaction''s revision cannot be written into linked diagram "rl"', 'nor does who owns a linked diagram write edits that look dumped, whatever they were granted');

-- What another cluster has recorded as seen says nothing here: a change that nothing
-- but a comparison in full can find is found.
SELECT t.pair('elsewhere', 'far elsewhere', '{"a": {"v": 1}}');
SET LOCAL session_replication_role = replica;
UPDATE diagsync_public.entity SET doc = '{"v": 2}' WHERE diagram_id = 'far elsewhere';
SET LOCAL session_replication_role = origin;
SELECT is(t.status('elsewhere'), 'in_sync 0/0/0', 'a change that no revision tells of');
SET LOCAL session_replication_role = replica;
UPDATE diagsync.directory SET seen_on = '1/1' WHERE id = 'elsewhere';
SET LOCAL session_replication_role = origin;
SELECT is(t.status('elsewhere'), 'pending 0/1/0', '... is found where another cluster has recorded what was seen');
SET LOCAL session_replication_role = replica;
UPDATE diagsync.directory SET seen_on = (SELECT seen_on || '0' FROM diagsync.directory WHERE id = 'l2') WHERE id = 'elsewhere';
SET LOCAL session_replication_role = origin;
SELECT is(t.status('elsewhere'), 'pending 0/1/0', '... or this one on another timeline');

SELECT * FROM finish();
ROLLBACK;
