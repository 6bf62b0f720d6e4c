-- Attempts to write what only diagsync writes: revisions, who edited, bases,
-- tombstones, links, owners, members, tokens, the log; to move an entity to
-- another diagram; to lock what is not one's own; SQL in what is a name.
BEGIN;
\ir ../../common/pgtap/helpers.sql
\ir ../../common/pgtap/users.sql
SELECT no_plan();

-- Traces, bases and a conflict to be had.
SELECT t.as('ann', $$ SELECT diagsync.put('L', '[{"id": "a", "v": 2}, {"id": "n"}]') $$), t.as('ben', $$ SELECT diagsync.put('P', '[{"id": "a", "v": 3}]') $$),
	t.as('ann', $$ SELECT diagsync.remove('P', '{b}') $$), t.as('ann', $$ SELECT diagsync.remove('U', '{b}') $$), t.as('ann', $$ SELECT diagsync.create_token('P', 'reader') $$),
	t.as('ann', $$ SELECT diagsync.create_diagram('Private too', 'private', 'P2') $$), t.as('ann', $$ SELECT diagsync.create_diagram('Public too', 'public', 'U2') $$);

-- ---- Columns and tables that are not for users ----------------------------------------------------

-- Not even for the owner.
CREATE TABLE t.users AS SELECT unnest('{ann,ada,ben,eve,ano}'::text[]) AS u;
SELECT t.refused(u, format(c, s, d), '42501')
  FROM t.users, (VALUES ('local', 'L'), ('public', 'U'), ('private', 'P')) AS s (s, d), unnest(ARRAY[
	'INSERT INTO diagsync_%1$s.entity (diagram_id, id, doc, rev) VALUES (%2$L, ''x'', ''{}'', 1)',
	'INSERT INTO diagsync_%1$s.entity (diagram_id, id, doc, rev) VALUES (%2$L, ''x'', ''{}'', DEFAULT)',
	'INSERT INTO diagsync_%1$s.entity (diagram_id, id, doc, modified_by) VALUES (%2$L, ''x'', ''{}'', ''role:regress_ray'')',
	'INSERT INTO diagsync_%1$s.entity (diagram_id, id, doc, modified_at) VALUES (%2$L, ''x'', ''{}'', ''2000-01-01'')',
	'INSERT INTO diagsync_%1$s.entity (diagram_id, id, doc) VALUES (%2$L, ''a'', ''{}'') ON CONFLICT (diagram_id, id) DO UPDATE SET rev = 1',
	'INSERT INTO diagsync_%1$s.entity (diagram_id, id, doc) VALUES (%2$L, ''a'', ''{}'') ON CONFLICT (diagram_id, id) DO UPDATE SET doc = ''{}'', modified_by = ''x''',
	'UPDATE diagsync_%1$s.entity SET rev = rev + 1 WHERE diagram_id = %2$L',
	'UPDATE diagsync_%1$s.entity SET modified_by = ''role:regress_ray'' WHERE diagram_id = %2$L',
	'UPDATE diagsync_%1$s.entity SET modified_at = ''2000-01-01'' WHERE diagram_id = %2$L',
	'UPDATE diagsync_%1$s.entity SET (doc, rev) = (''{}'', 1) WHERE diagram_id = %2$L',
	'TRUNCATE diagsync_%1$s.entity',
	'CREATE INDEX x ON diagsync_%1$s.entity (rev)',
	'CREATE TRIGGER x BEFORE INSERT ON diagsync_%1$s.entity FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()',
	'CREATE POLICY x ON diagsync_%1$s.entity USING (true)',
	'ALTER TABLE diagsync_%1$s.entity DISABLE ROW LEVEL SECURITY',
	'ALTER TABLE diagsync_%1$s.entity DISABLE TRIGGER ALL',
	'CREATE RULE x AS ON DELETE TO diagsync_%1$s.entity DO INSTEAD NOTHING']) AS c;
SELECT t.refused(u, c, '42501')
  FROM t.users, unnest(ARRAY[
	$$ INSERT INTO diagsync_local.base (diagram_id, id) VALUES ('L', 'x') $$, $$ UPDATE diagsync_local.base SET doc = '{}' $$, 'DELETE FROM diagsync_local.base',
	$$ INSERT INTO diagsync_public.tombstone (diagram_id, id, rev) VALUES ('U', 'x', 1) $$, 'UPDATE diagsync_public.tombstone SET rev = 1', 'DELETE FROM diagsync_public.tombstone',
	$$ INSERT INTO diagsync_private.tombstone (diagram_id, id, rev) VALUES ('P', 'x', 1) $$, 'UPDATE diagsync_private.tombstone SET rev = 1', 'DELETE FROM diagsync_private.tombstone',
	$$ INSERT INTO diagsync.member (diagram_id, principal, role) VALUES ('P', 'role:regress_eve', 'admin') $$, $$ UPDATE diagsync.member SET role = 'admin' $$,
	$$ UPDATE diagsync.member SET principal = 'role:regress_eve' $$, 'DELETE FROM diagsync.member',
	$$ INSERT INTO diagsync.access_token (id, diagram_id, secret_hash, role) VALUES ('x', 'P', sha256('x'), 'admin') $$, $$ UPDATE diagsync.access_token SET secret_hash = sha256('x') $$,
	$$ UPDATE diagsync.access_token SET expires_at = NULL $$, 'DELETE FROM diagsync.access_token',
	$$ INSERT INTO diagsync.sync_log (principal, action, local_id, public_id, called_at, duration_ms, success) VALUES ('role:regress_ann', 'push', 'L', 'P', now(), 1, true) $$,
	'UPDATE diagsync.sync_log SET called_at = ''2000-01-01''', 'DELETE FROM diagsync.sync_log', 'TRUNCATE diagsync.sync_log',
	$$ INSERT INTO diagsync.directory (id, name) VALUES ('x', 'x') $$, $$ INSERT INTO diagsync.directory (id, name, storage_type, owner) VALUES ('x', 'x', 'private', 'role:regress_ann') $$,
	$$ DELETE FROM diagsync.directory WHERE id = 'L' $$, 'DELETE FROM diagsync.directory', 'TRUNCATE diagsync.directory CASCADE',
	'LOCK TABLE diagsync.directory IN ACCESS EXCLUSIVE MODE', 'LOCK TABLE diagsync.sync_log IN SHARE MODE',
	'ALTER TABLE diagsync.directory DISABLE ROW LEVEL SECURITY', 'ALTER TABLE diagsync.directory OWNER TO regress_ann',
	'CREATE TABLE diagsync.x ()', 'CREATE FUNCTION diagsync.may_read(name) RETURNS boolean LANGUAGE sql AS ''SELECT true''', 'DROP EXTENSION diagsync', 'ALTER EXTENSION diagsync DROP FUNCTION diagsync.may_read(text)',
	'ALTER FUNCTION diagsync.may_read(text) COST 1', 'SET session_replication_role = replica', 'SET SESSION row_security = off; TABLE diagsync.directory']) AS c;
SELECT t.refused(u, format('UPDATE diagsync.directory SET %I = %s WHERE id = %L', c, CASE c WHEN 'seen_own' THEN 'NULL' ELSE 'DEFAULT' END, d), '42501')
  FROM t.users, unnest('{L,P}'::text[]) AS d, unnest('{id,storage_type,owner,created_at,public_copy_id,last_pushed_at,last_pulled_at,public_version,merge_policy,seen,seen_own,seen_on}'::text[]) AS c;
SELECT t.refused('ann', $$ UPDATE diagsync.directory SET name = 'x', public_copy_id = 'U' WHERE id = 'L' $$, '42501');
SELECT t.refused('ann', c, '42501') FROM unnest(ARRAY[$$ UPDATE diagsync_api.diagrams SET "publicCopyId" = 'U' $$, $$ UPDATE diagsync_api.diagrams SET "storageType" = 'public' $$,
	$$ UPDATE diagsync_api.diagrams SET "_id" = 'x' $$, $$ UPDATE diagsync_api.diagrams SET "publicVersion" = 5 $$, $$ INSERT INTO diagsync_api.diagrams (_id, name) VALUES ('x', 'x') $$, 'DELETE FROM diagsync_api.diagrams',
	$$ UPDATE diagsync_api.private_entities SET "modifiedBy" = 'x' $$, $$ UPDATE diagsync_api.private_entities SET "modifiedAt" = now() $$, 	$$ INSERT INTO diagsync_api.private_entities (diagram, id, doc, "modifiedBy") VALUES ('P', 'x', '{}', 'x') $$]) AS c;
-- The setting row_security makes an error of what it would hide, and is nothing to functions.
SET LOCAL row_security = off;
SELECT t.refused(u, 'SELECT count(*) FROM ' || c, '42501', 'row_security = off: ' || c)
  FROM t.users, unnest('{diagsync.directory,diagsync.entity,diagsync_private.entity,diagsync_private.tombstone,diagsync.member}'::text[]) AS c;
SELECT t.refused('ann', $$ UPDATE diagsync_private.entity SET doc = '{}' $$, '42501', 'row_security = off: UPDATE');
SELECT t.refused('eve', $$ SELECT diagsync.put('P', '[{"id": "x"}]') $$, '42704', 'row_security = off: put');
SELECT is(t.as(u, 'SELECT coalesce(diagsync.access(''P''), ''none'')'), r, 'row_security = off: access of ' || u) FROM (VALUES ('ann', 'owner'), ('ben', 'writer'), ('eve', 'none')) AS v (u, r);
SELECT is(t.as('ben', $$ SELECT diagsync.put('P', '[{"id": "a", "v": 3.5}]') $$), '1', 'row_security = off: put of one who may');
SELECT is(t.as('ann', $$ SELECT (diagsync.status('L')).state $$), 'conflict', 'row_security = off: status');
SET LOCAL row_security = on;
-- What users write is stamped with what is so.
SELECT is(t.as('ben', $$ INSERT INTO diagsync_private.entity VALUES ('P', 'x', '{}') RETURNING concat_ws(' ', rev = diagsync.revision(), modified_at BETWEEN statement_timestamp() AND clock_timestamp(), modified_by) $$), 't t role:regress_ben', 'an insert is stamped');
SELECT is(t.as('ada', $$ UPDATE diagsync_private.entity SET doc = '{"v": 2}' WHERE id = 'x' RETURNING modified_by $$), 'role:regress_ada', 'an update is stamped');
SELECT is(t.as('ben', $$ SELECT diagsync.put('P', '[{"id": "y", "rev": 1, "modified_by": "role:regress_ann", "diagram_id": "U"}]') $$), '1', 'put() takes the words of columns for properties');
SELECT is(diagram_id || ' ' || modified_by, 'P role:regress_ben', '... and stamps') FROM diagsync.entity WHERE id = 'y';

-- ---- Moving --------------------------------------------------------------------------------------------

SELECT t.refused('ann', format(c, s, d, d2), '0A000')
  FROM (VALUES ('public', 'U', 'U2'), ('private', 'P', 'P2'), ('local', 'L', 'E')) AS s (s, d, d2), unnest(ARRAY[
	'UPDATE diagsync_%1$s.entity SET diagram_id = %3$L WHERE diagram_id = %2$L',
	'UPDATE diagsync_%1$s.entity SET diagram_id = %3$L, doc = ''{}'' WHERE diagram_id = %2$L AND id = ''a''',
	'UPDATE diagsync_api.%1$s_entities SET diagram = %3$L WHERE diagram = %2$L',
	'UPDATE diagsync_%1$s.entity SET id = ''other'' WHERE diagram_id = %2$L AND id = ''a''',
	'INSERT INTO diagsync_%1$s.entity (diagram_id, id, doc) VALUES (%2$L, ''a'', ''{}'') ON CONFLICT (diagram_id, id) DO UPDATE SET diagram_id = %3$L',
	'MERGE INTO diagsync_%1$s.entity AS e USING (VALUES (1)) AS v ON e.diagram_id = %2$L WHEN MATCHED THEN UPDATE SET diagram_id = %3$L']) AS c;
SELECT t.refused(u, format('UPDATE diagsync_private.entity SET diagram_id = %L WHERE diagram_id = ''P''', d), e)
  FROM (VALUES ('ben', 'P2', '0A000'), ('ben', 'nix', '0A000'), ('ben', 'E', '0A000'), ('ray', 'P2', '0 rows'), ('eve', 'E', '0 rows')) AS v (u, d, e);
-- MERGE obeys the policies of each of its actions.
SELECT is(t.as('eve', $$ MERGE INTO diagsync_private.entity AS e USING (VALUES (1)) AS v ON e.diagram_id = 'P' WHEN MATCHED THEN UPDATE SET doc = '{"v": 99}' $$), '0 rows', 'MERGE of a stranger finds nothing to update');
SELECT is(t.as('eve', $$ MERGE INTO diagsync_private.entity AS e USING (VALUES (1)) AS v ON e.diagram_id = 'P' WHEN MATCHED THEN DELETE $$), '0 rows', '... or to delete');
SELECT t.refused('eve', $$ MERGE INTO diagsync_private.entity AS e USING (VALUES (1)) AS v ON e.diagram_id = 'P' AND e.id = 'a' WHEN NOT MATCHED THEN INSERT (diagram_id, id, doc) VALUES ('P', 'a', '{}') $$, '42704');
SELECT t.refused('eve', $$ MERGE INTO diagsync_private.entity AS e USING (VALUES (1)) AS v ON e.diagram_id = 'P' AND e.id = 'z' WHEN NOT MATCHED THEN INSERT (diagram_id, id, doc) VALUES ('P', 'z', '{}') $$, '42704');
SELECT t.refused('ray', $$ MERGE INTO diagsync_private.entity AS e USING (VALUES (1)) AS v ON e.diagram_id = 'P' AND e.id = 'a' WHEN MATCHED THEN UPDATE SET doc = '{"v": 99}' $$, '42501', 'a reader''s MERGE that updates');
SELECT t.refused('ray', $$ MERGE INTO diagsync_private.entity AS e USING (VALUES (1)) AS v ON e.diagram_id = 'P' AND e.id = 'a' WHEN MATCHED THEN DELETE $$, '42501', 'a reader''s MERGE that deletes');
SELECT is(t.as('ben', $$ MERGE INTO diagsync_private.entity AS e USING (VALUES (1)) AS v ON e.diagram_id = 'P' AND e.id = 'a' WHEN MATCHED THEN UPDATE SET doc = '{"v": 99}' $$), '1 rows', 'a writer''s MERGE');
-- Into the table of another storage type, or nowhere.
SELECT t.refused('ann', format('INSERT INTO diagsync_%s.entity (diagram_id, id, doc) VALUES (%L, ''x'', ''{}'')', s, d), '42809')
  FROM (VALUES ('local', 'L'), ('public', 'U'), ('private', 'P')) AS d (own, d), unnest('{local,public,private}'::text[]) AS s WHERE s <> own;
SELECT t.refused('eve', format('INSERT INTO diagsync_%s.entity (diagram_id, id, doc) VALUES (%L, ''x'', ''{}'')', s, d), '42704')
  FROM unnest('{L,P,nix}'::text[]) AS d, unnest('{local,public,private}'::text[]) AS s;
-- One row of many that is not the writer's own stops them all.
SELECT t.refused('eve', $$ INSERT INTO diagsync_private.entity (diagram_id, id, doc) VALUES ('P', 'x', '{}') ON CONFLICT DO NOTHING $$, '42704');
SELECT t.refused('eve', $$ INSERT INTO diagsync_local.entity (diagram_id, id, doc) VALUES ('E', 'x', '{}'), ('L', 'x', '{}') $$, '42704');
SELECT t.refused('ann', $$ INSERT INTO diagsync_local.entity (diagram_id, id, doc) VALUES (NULL, 'x', '{}') $$, '%', 'inserts into no diagram');

-- ---- Locks -------------------------------------------------------------------------------------------------

-- Who may not write a row cannot lock it either, to keep others waiting.
SELECT is(t.as(u, format('SELECT count(*) FROM (SELECT FROM diagsync.directory WHERE id IN (''P'', ''U'', ''L'') FOR %s) AS r', l)), n, u || ' locks directory rows, ' || l)
  FROM unnest('{UPDATE,NO KEY UPDATE,SHARE,KEY SHARE}'::text[]) AS l, (VALUES ('ann', '3'), ('ada', '1'), ('ben', '0'), ('ray', '0'), ('eve', '0')) AS u (u, n);
SELECT t.refused('ano', format('SELECT count(*) FROM (SELECT FROM diagsync.directory WHERE id IN (''P'', ''U'', ''L'') FOR %s) AS r', l), '42501') FROM unnest('{UPDATE,SHARE,KEY SHARE}'::text[]) AS l;
SELECT is(t.as(u, format('SELECT count(*) FROM (SELECT FROM diagsync_private.entity WHERE diagram_id = ''P'' AND id = ''a'' FOR %s) AS r', l)), n, u || ' locks entities of P, ' || l)
  FROM unnest('{UPDATE,NO KEY UPDATE,SHARE,KEY SHARE}'::text[]) AS l, (VALUES ('ann', '1'), ('ben', '1'), ('ray', '0'), ('eve', '0'), ('ano', '0')) AS u (u, n);
SELECT t.refused(u, format('SELECT diagram_id FROM %s FOR SHARE', c), '42501')
  FROM unnest('{ann,eve}'::text[]) AS u, unnest('{diagsync.member,diagsync.sync_log,diagsync_local.base,diagsync_private.tombstone,diagsync_public.tombstone}'::text[]) AS c WHERE c <> 'diagsync.sync_log';

-- ---- COPY ----------------------------------------------------------------------------------------------------

\set file `mktemp`
SET ROLE regress_eve;
COPY diagsync_private.entity TO STDOUT \g :file
COPY (SELECT id FROM diagsync.directory WHERE id IN ('P', 'L')) TO STDOUT \g :file
RESET ROLE;
\set got `wc -c < :file`
SELECT is(btrim(:'got'), '0', 'a stranger''s COPY TO has nothing');
SET ROLE regress_ray;
COPY diagsync_private.entity (id) TO STDOUT \g :file
RESET ROLE;
\set got `sort :file | head -1; rm :file`
SELECT is(:'got'::text, 'a', 'a member''s has what they may read');
SAVEPOINT s;
\set ON_ERROR_STOP off
SET ROLE regress_ann;
\copy diagsync_private.entity (diagram_id, id, doc) FROM /dev/null
\set sqlstate :SQLSTATE
ROLLBACK TO s;
SET ROLE regress_ann;
\copy diagsync_private.entity FROM /dev/null
\set sqlstate2 :SQLSTATE
ROLLBACK TO s;
\set ON_ERROR_STOP on
SELECT is(:'sqlstate'::text, '0A000', 'COPY FROM of a user');
SELECT is(:'sqlstate2'::text, '42501', '... of columns that are not theirs');

-- ---- SQL in names ----------------------------------------------------------------------------------------------

CREATE TABLE t.odd (n int GENERATED ALWAYS AS IDENTITY, text text);
INSERT INTO t.odd (text) VALUES ($$'; DROP TABLE diagsync.directory; --$$), ($$"; DROP TABLE diagsync.directory; --$$), ('$$ || $1 || $$'), ('$1'), ('%s%n%1$s%%'), (E'\\'), (E'\\''; --'),
	(E'a\nb\tc'), ('{}'), ('NULL'), ('null'), ('*'), ('%'), ('_'), ('''''') , ('"'), ('(SELECT 1)'), ('U&"\0041"'), ('ü€😀'), (' lead and trail ');
SELECT is(t.as('ann', format('SELECT diagsync.create_diagram(%1$L, ''local'', ''odd'' || %1$L, %1$L)', text)), 'odd' || text, 'create_diagram: ' || text) FROM t.odd ORDER BY n;
SELECT is(t.as('ann', format('SELECT diagsync.put(''odd'' || %1$L, json_build_array(json_build_object(''id'', %1$L))::jsonb)', text)), '1', 'put: ' || text) FROM t.odd ORDER BY n;
SELECT is(t.as('ann', format('SELECT diagsync.share(''odd'' || %1$L, ''far'' || %1$L, ''private'')', text)), 'far' || text, 'share: ' || text) FROM t.odd ORDER BY n;
SELECT is(t.as('ann', format('SELECT diagsync.add_member(''far'' || %1$L, ''sub:'' || %1$L, ''reader'')', text)), '', 'add_member: ' || text) FROM t.odd ORDER BY n;
SELECT alike(t.as('ann', format('SELECT diagsync.create_token(''far'' || %1$L, ''writer'', label => %1$L)', text)), '%.%', 'create_token: ' || text) FROM t.odd ORDER BY n;
SELECT is(t.as('web', format('SELECT diagsync.access(''far'' || %L)', text), login => 'auth', claims => json_build_object('sub', text)::text), 'reader', 'the member: ' || text) FROM t.odd ORDER BY n;
SELECT is(t.as('web', format('SELECT diagsync.clone(''far'' || %1$L, ''of'' || %1$L)', text), login => 'auth', claims => json_build_object('sub', text)::text), 'of' || text, 'clone: ' || text) FROM t.odd ORDER BY n;
SELECT is(t.as('web', 'SELECT count(*) FROM diagsync.entity WHERE diagram_id <> ''U''', login => 'auth', claims => json_build_object('sub', text)::text), '2', 'what the member sees: ' || text) FROM t.odd ORDER BY n;
SELECT is(t.as('web', 'SELECT string_agg(local_id || ''>'' || public_id || state, '' '') FROM diagsync.status_all()', login => 'auth', claims => json_build_object('sub', text)::text),
	'of' || text || '>far' || text || 'in_sync', 'status_all: ' || text) FROM t.odd ORDER BY n;
SELECT is(count(*), 2::bigint, 'the log: ' || text) FROM t.odd, diagsync.sync_log WHERE public_id = 'far' || text GROUP BY n, text ORDER BY n;
SELECT t.refused('eve', format('SELECT diagsync.%s(%L%s)', f, text, a), '42704', f || ': ' || text)
  FROM t.odd, (VALUES ('drop_diagram', ''), ('put', ', ''[]'''), ('push', ''), ('status', ''), ('set_merge_policy', ', NULL'), ('revoke_token', ''), ('create_token', ''), ('add_member', ', ''role:x'', ''reader''')) AS f (f, a) ORDER BY f, n;
SELECT is(t.as('eve', format('SELECT diagsync.put(%L, ''[]'')', text)), format('42704 diagram "%s" does not exist', text), 'the error has it as it is: ' || text) FROM t.odd ORDER BY n;
SELECT t.refused('ann', format('SELECT diagsync.create_diagram(''x'', %L)', text), '22023', 'an unknown storage type: ' || text) FROM t.odd ORDER BY n;
SELECT t.refused('ann', format('SELECT diagsync.add_member(''P'', ''role:x'', %L)', text), '22023', 'an unknown member''s role: ' || text) FROM t.odd ORDER BY n;
SELECT t.refused('ann', format('SELECT diagsync.create_token(''P'', %L)', text), '22023', 'an unknown token''s role: ' || text) FROM t.odd ORDER BY n;
SELECT is(t.as('ann', format('SELECT diagsync.set_owner(''far'' || %1$L, ''sub:'' || %1$L)', text)), '', 'set_owner: ' || text) FROM t.odd ORDER BY n;
SELECT is(t.as('web', format('SELECT left(diagsync.drop_diagram(''far'' || %1$L)::text, 0) || diagsync.access(''of'' || %1$L)', text), login => 'auth', claims => json_build_object('sub', text)::text), 'owner', 'drop_diagram: ' || text) FROM t.odd ORDER BY n;
SELECT is((SELECT count(*) FROM diagsync.directory WHERE id IN ('P', 'U', 'L')), 3::bigint, 'and the tables are still there');

SELECT * FROM finish();
ROLLBACK;
