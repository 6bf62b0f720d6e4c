-- Who may do what: every principal on every storage type with every operation.
-- What is expected is in one table (t.rules), to be read beside section 7 of the
-- design; each of its letters is tried in a subtransaction that is rolled back.
-- An allowed operation must have its effect, a refused one must change nothing.
BEGIN;
\ir ../../common/pgtap/helpers.sql
SET LOCAL diagsync.sync_rate_limit = 0;
SET LOCAL diagsync.trusted_authenticators = 'regress_mx_authenticator';

-- ---- Who ------------------------------------------------------------------------------

-- The columns of the table stand for these. "principal" is what the caller should
-- be known as; with "claim" it comes by JWT through the trusted authenticator.
CREATE TABLE t.who (n int GENERATED ALWAYS AS IDENTITY, name text PRIMARY KEY, class text NOT NULL, role text, claim text, token text,
	principal text GENERATED ALWAYS AS (coalesce('sub:' || claim, 'role:' || role)) STORED);
INSERT INTO t.who (name, class, role, claim, token) VALUES
	('superuser',              'super',    current_user,         NULL,    NULL),
	('another superuser',      'super',    'regress_mx_super',   NULL,    NULL),
	('BYPASSRLS role',         'super',    'regress_mx_bypass',  NULL,    NULL),
	('owner',                  'owner',    'regress_mx_owner',   NULL,    NULL),
	('sub owner',              'owner',    'regress_mx_web',     'olga',  NULL),
	('admin',                  'admin',    'regress_mx_admin',   NULL,    NULL),
	('sub admin',              'admin',    'regress_mx_web',     'adam',  NULL),
	('sub admin, anonymous',   'a-admin',  'regress_mx_anon',    'adam',  NULL),
	('writer',                 'writer',   'regress_mx_writer',  NULL,    NULL),
	('sub writer',             'writer',   'regress_mx_web',     'wim',   NULL),
	('reader',                 'reader',   'regress_mx_reader',  NULL,    NULL),
	('sub reader',             'reader',   'regress_mx_web',     'rita',  NULL),
	('admin token',            't-admin',  'regress_mx_bearer',  NULL,    'admin'),
	('writer token',           't-writer', 'regress_mx_bearer',  NULL,    'writer'),
	('reader token',           't-reader', 'regress_mx_bearer',  NULL,    'reader'),
	('sub with reader token',  't-reader', 'regress_mx_web',     'bea',   'reader'),
	('expired token',          'bad',      'regress_mx_bearer',  NULL,    'expired'),
	('revoked token',          'bad',      'regress_mx_bearer',  NULL,    'revoked'),
	('token of another',       'bad',      'regress_mx_bearer',  NULL,    'other'),
	('stranger',               'stranger', 'regress_mx_strange', NULL,    NULL),
	('sub stranger',           'stranger', 'regress_mx_web',     'sam',   NULL),
	('sub like a role',        'stranger', 'regress_mx_web',     'role:regress_mx_owner', NULL),
	('anonymous',              'anon',     'regress_mx_anon',    NULL,    NULL),
	('anonymous, bad token',   'anon',     'regress_mx_anon',    NULL,    'expired'),
	('anonymous, admin token', 'a-admin',  'regress_mx_anon',    NULL,    'admin'),
	('anonymous, writer token','a-writer', 'regress_mx_anon',    NULL,    'writer'),
	('anonymous, reader token','a-reader', 'regress_mx_anon',    NULL,    'reader');

SELECT format('CREATE ROLE %I', role) FROM (SELECT DISTINCT role FROM t.who WHERE role <> current_user) AS r ORDER BY role
\gexec
CREATE ROLE regress_mx_authenticator NOINHERIT;
CREATE ROLE regress_mx_nobody;
GRANT regress_mx_web, regress_mx_anon TO regress_mx_authenticator;
ALTER ROLE regress_mx_super SUPERUSER;
ALTER ROLE regress_mx_bypass BYPASSRLS;
SELECT diagsync.grant_usage(role, anonymous => role = 'regress_mx_anon')
  FROM (SELECT DISTINCT role FROM t.who WHERE role NOT IN (current_user, 'regress_mx_super')) AS r;

-- ---- What there is ----------------------------------------------------------------------

-- One diagram of each storage type, named like it, all with the entities "a" and
-- "b" and (shared ones) the trace of a deleted one.
SELECT diagsync.create_diagram('D', s, s) FROM unnest('{local,public,private}'::text[]) AS s;
INSERT INTO diagsync.directory (id, name) VALUES ('legacy', 'D');
SELECT diagsync.put(s, '[{"id": "a", "v": 1}, {"id": "b", "v": 1}, {"id": "gone", "v": 1}]'), diagsync.remove(s, '{gone}')
  FROM unnest('{local,public,private,legacy}'::text[]) AS s;
SELECT diagsync.create_diagram('Another', 'private', 'other'), diagsync.create_diagram('Target', 'public', 'target');
SELECT diagsync.set_owner(id, 'role:regress_mx_owner') FROM diagsync.directory;
SELECT diagsync.add_member(s, principal, class)
  FROM unnest('{public,private,legacy}'::text[]) AS s, t.who WHERE class IN ('admin', 'writer', 'reader');
SELECT diagsync.add_member(s, 'role:regress_mx_nobody', 'reader') FROM unnest('{public,private,legacy}'::text[]) AS s;

-- The local one is linked to a diagram that anybody may write: "a" is in
-- conflict, "b" a local change, "c" a public one.
SELECT diagsync.share('local', 'far');
SELECT t.write('local', 'a', '{"v": 2}'), t.write('local', 'b', '{"v": 2}'),
	t.write('far', 'a', '{"v": 3}'), t.write('far', 'c', '{"v": 3}');

-- Tokens of each diagram that can have some.
CREATE TABLE t.token (storage text, kind text, token text);
INSERT INTO t.token
SELECT s, k, diagsync.create_token(CASE k WHEN 'other' THEN 'other' ELSE s END,
		CASE k WHEN 'reader' THEN 'reader' WHEN 'writer' THEN 'writer' ELSE 'admin' END, '1 hour', k)
  FROM unnest('{public,private,legacy}'::text[]) AS s, unnest('{admin,writer,reader,expired,revoked,other}'::text[]) AS k;
UPDATE diagsync.access_token SET expires_at = now() - interval '1 second' WHERE label = 'expired';
SELECT diagsync.revoke_token(split_part(token, '.', 1)) FROM t.token WHERE kind = 'revoked';
INSERT INTO t.token SELECT 'local', kind, token FROM t.token WHERE storage = 'private';

-- One line of everybody in the log.
INSERT INTO diagsync.sync_log (principal, action, local_id, public_id, called_at, duration_ms, success)
SELECT DISTINCT principal, 'push', 'x', 'y', now(), 1, true FROM t.who;

-- ---- What is done -------------------------------------------------------------------------

-- In "command", %1$L is the diagram, %2$s the schema of its table, %3$L the caller's
-- principal, %4$L the id of a token of the diagram. It is run as the caller.
-- "effect" is asked afterwards, with the command's first value as "result": a
-- boolean, or what the letter in the table says. "prepare" runs before, as superuser.
-- "mine" is a local diagram of the caller's own; with "linked" it is linked to the
-- diagram, where that can be, even if the caller was never let in.
CREATE TABLE t.operation (n int GENERATED ALWAYS AS IDENTITY, name text PRIMARY KEY, command text NOT NULL, effect text NOT NULL,
	prepare text, mine boolean NOT NULL DEFAULT false);

-- Looking
INSERT INTO t.operation (name, command, effect) VALUES
	('access', 'SELECT diagsync.access(%1$L)',
		$$ coalesce(upper(left(result, 1)), '.') $$),
	('select directory', 'SELECT count(*) FROM diagsync.directory WHERE id = %1$L', $$ result = '1' $$),
	('select entity', 'SELECT count(*) FROM diagsync_%2$s.entity WHERE diagram_id = %1$L', $$ result = '2' $$),
	('select view', 'SELECT count(*) FROM diagsync.entity WHERE diagram_id = %1$L', $$ result = '2' $$),
	('select base', 'SELECT count(*) FROM diagsync_local.base WHERE diagram_id = %1$L', $$ result = '2' $$),
	('select tombstone', 'SELECT count(*) FROM diagsync_%2$s.tombstone WHERE diagram_id = %1$L', $$ result = '1' $$),
	('select member', 'SELECT count(*) || '' '' || coalesce(min(principal), '''') FROM diagsync.member WHERE diagram_id = %1$L',
		$$ CASE result WHEN (SELECT count(*) || ' ' || min(principal) FROM diagsync.member WHERE diagram_id = %1$L) THEN 'y'
			WHEN '1 ' || %3$L THEN 'o' WHEN '0 ' THEN '.' ELSE result END $$),
	('select access_token', 'SELECT count(id) FROM diagsync.access_token WHERE diagram_id = %1$L', $$ result = '4' $$),
	('select sync_log', 'SELECT string_agg(DISTINCT principal, '' '') FROM diagsync.sync_log',
		$$ CASE WHEN result = %3$L THEN 'o' WHEN result IS NULL THEN '.' WHEN result LIKE '%% %% %% %%' THEN 'y' ELSE result END $$);

-- Entities
INSERT INTO t.operation (name, command, effect) VALUES
	('insert', 'INSERT INTO diagsync_%2$s.entity (diagram_id, id, doc) VALUES (%1$L, ''n'', ''{}'')',
		$$ EXISTS (SELECT FROM diagsync.entity WHERE diagram_id = %1$L AND id = 'n' AND modified_by = %3$L) $$),
	('insert ... on conflict', 'INSERT INTO diagsync_%2$s.entity (diagram_id, id, doc) VALUES (%1$L, ''a'', ''{"v": 9}'')
			ON CONFLICT (diagram_id, id) DO UPDATE SET doc = excluded.doc',
		$$ t.docs(%1$L) -> 'a' = '{"v": 9}' $$),
	('update', 'UPDATE diagsync_%2$s.entity SET doc = ''{"v": 9}'' WHERE diagram_id = %1$L AND id = ''a''',
		$$ EXISTS (SELECT FROM diagsync.entity WHERE diagram_id = %1$L AND id = 'a' AND doc = '{"v": 9}' AND modified_by = %3$L) $$),
	('update blindly', 'UPDATE diagsync_%2$s.entity SET doc = ''{"v": 9}''',
		$$ t.docs(%1$L) -> 'a' = '{"v": 9}' $$),
	('delete', 'DELETE FROM diagsync_%2$s.entity WHERE diagram_id = %1$L AND id = ''a''',
		$$ t.docs(%1$L) -> 'a' IS NULL $$),
	('delete blindly', 'DELETE FROM diagsync_%2$s.entity',
		$$ t.docs(%1$L) = '{}' $$),
	('put', 'SELECT diagsync.put(%1$L, ''[{"id": "n"}, {"id": "a", "v": 9}]'')',
		$$ result = '2' AND t.docs(%1$L) ?& '{n,a,b}' $$),
	('remove', 'SELECT diagsync.remove(%1$L, ''{a}'')',
		$$ result = '1' AND t.docs(%1$L) -> 'a' IS NULL $$);

-- Managing
INSERT INTO t.operation (name, command, effect) VALUES
	('create_diagram', 'SELECT diagsync.create_diagram(''N'', %2$L, ''new'')',
		$$ EXISTS (SELECT FROM diagsync.directory WHERE id = 'new' AND storage_type = %2$L AND owner = %3$L) $$),
	('rename', 'UPDATE diagsync.directory SET name = ''X'', description = ''Y'' WHERE id = %1$L',
		$$ EXISTS (SELECT FROM diagsync.directory WHERE id = %1$L AND name = 'X') $$),
	('drop_diagram', 'SELECT diagsync.drop_diagram(%1$L)',
		$$ NOT EXISTS (SELECT FROM diagsync.directory WHERE id = %1$L) AND t.docs(%1$L) = '{}' $$),
	('set_storage_type', 'SELECT diagsync.set_storage_type(%1$L, CASE %1$L WHEN ''public'' THEN ''private'' ELSE ''public'' END)',
		$$ EXISTS (SELECT FROM diagsync.directory WHERE id = %1$L AND storage_type <> id) AND t.docs(%1$L) ?& '{a,b}' $$),
	('set_merge_policy', 'SELECT diagsync.set_merge_policy(%1$L, ''{"granularity": "property"}'')',
		$$ EXISTS (SELECT FROM diagsync.directory WHERE id = %1$L AND merge_policy ->> 'granularity' = 'property') $$),
	('set_owner', 'SELECT diagsync.set_owner(%1$L, ''sub:new'')',
		$$ EXISTS (SELECT FROM diagsync.directory WHERE id = %1$L AND owner = 'sub:new') $$),
	('add_member', 'SELECT diagsync.add_member(%1$L, ''sub:new'', ''admin'')',
		$$ EXISTS (SELECT FROM diagsync.member WHERE diagram_id = %1$L AND principal = 'sub:new' AND role = 'admin' AND added_by = %3$L) $$),
	('add_member: promotes themselves', 'SELECT diagsync.add_member(%1$L, %3$L, ''admin'')',
		$$ EXISTS (SELECT FROM diagsync.member WHERE diagram_id = %1$L AND principal = %3$L AND role = 'admin') $$),
	('remove_member', 'SELECT diagsync.remove_member(%1$L, ''role:regress_mx_nobody'')',
		$$ NOT EXISTS (SELECT FROM diagsync.member WHERE diagram_id = %1$L AND principal = 'role:regress_mx_nobody') $$),
	('remove_member: themselves', 'SELECT diagsync.remove_member(%1$L, %3$L)',
		$$ NOT EXISTS (SELECT FROM diagsync.member WHERE diagram_id = %1$L AND principal = %3$L) $$),
	('create_token', 'SELECT diagsync.create_token(%1$L, ''admin'', label => ''new'')',
		$$ EXISTS (SELECT FROM diagsync.access_token WHERE diagram_id = %1$L AND label = 'new' AND created_by = %3$L
			AND id = split_part(result, '.', 1) AND position(split_part(result, '.', 2) IN secret_hash::text) = 0) $$),
	('revoke_token', 'SELECT diagsync.revoke_token(%4$L)',
		$$ (SELECT count(*) FROM diagsync.access_token WHERE diagram_id = %1$L) = 3 $$);

-- Links and syncs of the diagram itself, as the near end
INSERT INTO t.operation (name, command, effect, prepare) VALUES
	('share', 'SELECT diagsync.share(%1$L, ''new'', ''private'')',
		$$ EXISTS (SELECT FROM diagsync.directory WHERE id = 'new' AND storage_type = 'private' AND owner = %3$L)
			AND EXISTS (SELECT FROM diagsync.directory WHERE id = %1$L AND public_copy_id = 'new') AND t.docs('new') = t.docs(%1$L) $$,
		$$ SELECT diagsync.unlink('local') $$),
	('link', 'SELECT diagsync.link(%1$L, ''target'')',
		$$ EXISTS (SELECT FROM diagsync.directory WHERE id = %1$L AND public_copy_id = 'target') $$,
		$$ SELECT diagsync.unlink('local') $$),
	('unlink', 'SELECT diagsync.unlink(%1$L)',
		$$ EXISTS (SELECT FROM diagsync.directory WHERE id = %1$L AND public_copy_id IS NULL) $$, NULL),
	('push', 'SELECT (diagsync.push(%1$L, on_conflict => ''local'')).documents_updated',
		$$ result = '2' AND t.docs('far') -> 'a' = '{"v": 2}' $$, NULL),
	('pull', 'SELECT (diagsync.pull(%1$L, on_conflict => ''public'')).documents_updated',
		$$ result = '2' AND t.docs(%1$L) -> 'a' = '{"v": 3}' $$, NULL),
	('resolve', 'SELECT (diagsync.resolve(%1$L, ''a'', ''public'')).entity_id',
		$$ result = 'a' AND t.docs(%1$L) -> 'a' = '{"v": 3}' $$, NULL),
	('discard', 'SELECT (diagsync.discard(%1$L, ''{a}'')).documents_updated',
		$$ result = '1' AND t.docs(%1$L) -> 'a' ->> 'v' = '1' $$, NULL),
	('refresh', 'SELECT (diagsync.refresh(%1$L)).conflicts', $$ result = '1' $$, NULL),
	('status', 'SELECT (diagsync.status(%1$L)).state', $$ result = 'conflict' $$, NULL),
	('status_all', 'SELECT count(*) FROM diagsync.status_all() WHERE %1$L IN (local_id, public_id)', $$ result = '1' $$, NULL),
	('changes', 'SELECT count(*) FROM diagsync.changes(%1$L)', $$ result = '3' $$, NULL),
	('conflicts', 'SELECT count(*) FROM diagsync.conflicts(%1$L)', $$ result = '1' $$, NULL);

-- ... and with the diagram as the shared copy of a local one of the caller's own
INSERT INTO t.operation (name, command, effect, mine) VALUES
	('clone it', 'SELECT diagsync.clone(%1$L, ''new'')',
		$$ EXISTS (SELECT FROM diagsync.directory WHERE id = 'new' AND owner = %3$L AND public_copy_id = %1$L) AND t.docs('new') = t.docs(%1$L) $$, false),
	('link to it', 'SELECT diagsync.link(''mine'', %1$L)',
		$$ EXISTS (SELECT FROM diagsync.directory WHERE id = 'mine' AND public_copy_id = %1$L) $$, true),
	('push to it', 'SELECT (diagsync.push(''mine'', %1$L, ''local'')).documents_updated',
		$$ result = '2' AND t.docs(%1$L) -> 'a' = '{"v": 5}' $$, true),
	('push to it; dry run', 'SELECT (diagsync.push(''mine'', %1$L, ''local'', true)).documents_updated',
		$$ result = '2' AND t.docs(%1$L) -> 'a' = '{"v": 6}' $$, true),
	('pull from it', 'SELECT (diagsync.pull(''mine'', %1$L, ''public'')).documents_updated',
		$$ result = '2' AND t.docs('mine') -> 'a' = '{"v": 6}' $$, true),
	('status with it', 'SELECT (diagsync.status(''mine'', %1$L)).state', $$ result = 'conflict' $$, true),
	('push its link', 'SELECT (diagsync.push(''mine'', on_conflict => ''local'')).documents_updated',
		$$ result = '2' AND t.docs(%1$L) -> 'a' = '{"v": 5}' $$, true),
	('pull its link', 'SELECT (diagsync.pull(''mine'', on_conflict => ''public'')).documents_updated',
		$$ result = '2' AND t.docs('mine') -> 'a' = '{"v": 6}' $$, true),
	('resolve its link', 'SELECT (diagsync.resolve(''mine'', ''a'', ''both'')).entity_id',
		$$ t.docs('mine') -> 'a' = '{"v": 6}' AND t.docs('mine') -> result = '{"v": 5}' $$, true),
	('discard its link', 'SELECT (diagsync.discard(''mine'', ''{a}'')).documents_updated', $$ result = '1' $$, true),
	('refresh its link', 'SELECT (diagsync.refresh(''mine'')).conflicts', $$ result = '1' $$, true),
	('status of its link', 'SELECT (diagsync.status(''mine'')).state',
		$$ CASE result WHEN 'conflict' THEN 'y' WHEN 'unlinked' THEN 'u' ELSE result END $$, true),
	('status_all of its link', 'SELECT max(state) FROM diagsync.status_all() WHERE local_id = ''mine''',
		$$ CASE result WHEN 'conflict' THEN 'y' WHEN 'unlinked' THEN 'u' ELSE coalesce(result, '.') END $$, true),
	('changes of its link', 'SELECT count(*) FROM diagsync.changes(''mine'')', $$ result = '3' $$, true),
	('conflicts of its link', 'SELECT count(*) FROM diagsync.conflicts(''mine'')', $$ result = '1' $$, true),
	('unlink its link', 'SELECT diagsync.unlink(''mine'')',
		$$ EXISTS (SELECT FROM diagsync.directory WHERE id = 'mine' AND public_copy_id IS NULL) $$, true);

-- ---- What is expected ------------------------------------------------------------------------

--   y  allowed, and has its effect           .  as if it did not exist: 42704, or no rows
--   o  their own rows alone                   n  42501
--   t  42809: wrong storage type              l  55000: not linked, or no storage type yet
--   u  answered with state "unlinked"         -  no such case
--   O A W R  owner, admin, writer, reader
-- t-... bears a token of that role, bad one that is expired, revoked, or of another
-- diagram. anon is granted with anonymous => true; a-... bears a token besides (or is
-- a member by its claim). A plain UPDATE or DELETE of what its caller may see but not
-- change finds no rows, as is PostgreSQL's way with row-level security; nor may
-- anybody but owner and admins know which tokens there are.
CREATE TABLE t.rules (operation text, storage text, letters text);
INSERT INTO t.rules VALUES
	(NULL, NULL,                  'super owner  admin writer reader  t-admin t-writer t-reader  bad stranger  anon a-admin a-writer a-reader'),
	-- Looking
	('access', 'local',
	                              'O     O      .     .      .       .       .        .         .   .         .    .       .        .'),
	('access', 'public legacy',
	                              'O     O      A     W      W       A       W        W         W   W         W    A       W        W'),
	('access', 'private',
	                              'O     O      A     W      R       A       W        R         .   .         .    A       W        R'),
	('select directory, select entity, select view', 'local',
	                              'y     y      .     .      .       .       .        .         .   .         .    .       .        .'),
	('select directory, select entity, select view', 'public legacy',
	                              'y     y      y     y      y       y       y        y         y   y         y    y       y        y'),
	('select directory, select entity, select view', 'private',
	                              'y     y      y     y      y       y       y        y         .   .         .    y       y        y'),
	('select base', 'local',
	                              'y     y      .     .      .       .       .        .         .   .         .    .       .        .'),
	('select base', 'public legacy private',
	                              '-     -      -     -      -       -       -        -         -   -         -    -       -        -'),
	('select tombstone', 'local',
	                              '-     -      -     -      -       -       -        -         -   -         -    -       -        -'),
	('select tombstone', 'public legacy',
	                              'y     y      y     y      y       y       y        y         y   y         y    y       y        y'),
	('select tombstone', 'private',
	                              'y     y      y     y      y       y       y        y         .   .         .    y       y        y'),
	('select member, select access_token', 'local',
	                              '-     -      -     -      -       -       -        -         -   -         -    -       -        -'),
	('select member', 'public legacy private',
	                              'y     y      y     o      o       y       .        .         .   .         .    y       .        .'),
	('select access_token', 'public legacy private',
	                              'y     y      y     .      .       y       .        .         .   .         .    y       .        .'),
	('select sync_log', 'local public legacy private',
	                              'y     o      o     o      o       o       o        o         o   o         n    n       n        n'),
	-- Entities
	('insert, insert ... on conflict, update, delete, update blindly, delete blindly, put, remove', 'local',
	                              'y     y      .     .      .       .       .        .         .   .         .    .       .        .'),
	('insert, insert ... on conflict, update, delete, update blindly, delete blindly, put, remove', 'public legacy',
	                              'y     y      y     y      y       y       y        y         y   y         y    y       y        y'),
	('insert, insert ... on conflict, put, remove', 'private',
	                              'y     y      y     y      n       y       y        n         .   .         .    y       y        n'),
	('update, delete, update blindly, delete blindly', 'private',
	                              'y     y      y     y      .       y       y        .         .   .         .    y       y        .'),
	-- Managing
	('create_diagram', 'local public private',
	                              'y     y      y     y      y       y       y        y         y   y         n    n       n        n'),
	('create_diagram', 'legacy',
	                              '-     -      -     -      -       -       -        -         -   -         -    -       -        -'),
	('rename, set_merge_policy, drop_diagram', 'local',
	                              'y     y      .     .      .       .       .        .         .   .         n    n       n        n'),
	('rename, revoke_token', 'public legacy',
	                              'y     y      y     .      .       y       .        .         .   .         n    n       n        n'),
	('set_merge_policy, drop_diagram, set_storage_type, add_member, add_member: promotes themselves, remove_member, create_token', 'public legacy',
	                              'y     y      y     n      n       y       n        n         n   n         n    n       n        n'),
	('rename, revoke_token', 'private',
	                              'y     y      y     .      .       y       .        .         .   .         n    n       n        n'),
	('set_merge_policy, drop_diagram, set_storage_type, add_member, add_member: promotes themselves, remove_member, create_token', 'private',
	                              'y     y      y     n      n       y       n        n         .   .         n    n       n        n'),
	('set_storage_type', 'local',
	                              'l     l      .     .      .       .       .        .         .   .         n    n       n        n'),
	('add_member, add_member: promotes themselves, remove_member, remove_member: themselves, create_token', 'local',
	                              't     t      .     .      .       .       .        .         .   .         n    n       n        n'),
	('revoke_token', 'local',
	                              '-     -      -     -      -       -       -        -         -   -         -    -       -        -'),
	('remove_member: themselves', 'public legacy private',
	                              '.     .      y     y      y       .       .        .         .   .         n    n       n        n'),
	('set_owner', 'local',
	                              'y     y      .     .      .       .       .        .         .   .         n    n       n        n'),
	('set_owner', 'public legacy',
	                              'y     y      n     n      n       n       n        n         n   n         n    n       n        n'),
	('set_owner', 'private',
	                              'y     y      n     n      n       n       n        n         .   .         n    n       n        n'),
	-- Links and syncs, the diagram being the near end
	('share, link, unlink, push, pull, resolve, discard, refresh', 'local',
	                              'y     y      .     .      .       .       .        .         .   .         n    n       n        n'),
	('share, link, unlink, push, pull, resolve, discard, refresh', 'public',
	                              't     t      t     t      t       t       t        t         t   t         n    n       n        n'),
	('share, link, unlink, push, pull, resolve, discard, refresh', 'legacy',
	                              'l     l      l     l      l       l       l        l         l   l         n    n       n        n'),
	('share, link, unlink, push, pull, resolve, discard, refresh', 'private',
	                              't     t      t     t      t       t       t        t         .   .         n    n       n        n'),
	('status, changes, conflicts', 'local',
	                              'y     y      .     .      .       .       .        .         .   .         n    n       n        n'),
	('status, changes, conflicts', 'public',
	                              't     t      t     t      t       t       t        t         t   t         n    n       n        n'),
	('status, changes, conflicts', 'legacy',
	                              'l     l      l     l      l       l       l        l         l   l         n    n       n        n'),
	('status, changes, conflicts', 'private',
	                              't     t      t     t      t       t       t        t         .   .         n    n       n        n'),
	('status_all', 'local',
	                              'y     y      .     .      .       .       .        .         .   .         n    n       n        n'),
	('status_all', 'public legacy private',
	                              '-     -      -     -      -       -       -        -         -   -         -    -       -        -'),
	-- ... and the shared copy of a local one of the caller's
	('clone it, link to it', 'local',
	                              't     t      .     .      .       .       .        .         .   .         n    n       n        n'),
	('clone it, link to it', 'public',
	                              'y     y      y     y      y       y       y        y         y   y         n    n       n        n'),
	('clone it, link to it', 'private',
	                              'y     y      y     y      y       y       y        y         .   .         n    n       n        n'),
	('clone it, link to it', 'legacy',
	                              'l     l      l     l      l       l       l        l         l   l         n    n       n        n'),
	('push to it, pull from it, push to it; dry run', 'local',
	                              'l     l      .     .      .       .       .        .         .   .         n    n       n        n'),
	('status with it', 'local',
	                              'l     l      .     .      .       .       .        .         .   .         n    n       n        n'),
	('push to it, pull from it, push to it; dry run', 'legacy',
	                              'l     l      l     l      l       l       l        l         l   l         n    n       n        n'),
	('status with it', 'legacy',
	                              'l     l      l     l      l       l       l        l         l   l         n    n       n        n'),
	('push to it, pull from it, push to it; dry run, push its link, pull its link, resolve its link, discard its link, refresh its link, unlink its link', 'public',
	                              'y     y      y     y      y       y       y        y         y   y         n    n       n        n'),
	('push to it, push to it; dry run, push its link', 'private',
	                              'y     y      y     y      n       y       y        n         .   .         n    n       n        n'),
	('pull from it, pull its link, resolve its link, discard its link, refresh its link', 'private',
	                              'y     y      y     y      y       y       y        y         .   .         n    n       n        n'),
	('status with it, status of its link, changes of its link, conflicts of its link', 'public',
	                              'y     y      y     y      y       y       y        y         y   y         n    n       n        n'),
	('status_all of its link', 'public',
	                              'y     y      y     y      y       y       y        y         y   y         n    n       n        n'),
	('status with it, changes of its link, conflicts of its link', 'private',
	                              'y     y      y     y      y       y       y        y         .   .         n    n       n        n'),
	('status of its link', 'private',
	                              'y     y      y     y      y       y       y        y         u   u         n    n       n        n'),
	('status_all of its link', 'private',
	                              'y     y      y     y      y       y       y        y         u   u         n    n       n        n'),
	('unlink its link', 'private',
	                              'y     y      y     y      y       y       y        y         y   y         n    n       n        n'),
	('push its link, pull its link, resolve its link, discard its link, refresh its link, unlink its link', 'local legacy',
	                              '-     -      -     -      -       -       -        -         -   -         -    -       -        -'),
	('status of its link, status_all of its link, changes of its link, conflicts of its link', 'local legacy',
	                              '-     -      -     -      -       -       -        -         -   -         -    -       -        -');

-- The table, one row for each cell.
CREATE TABLE t.cell AS
SELECT btrim(o) AS operation, s AS storage, who.name AS who, l.letter AS expected, NULL::text AS found
  FROM t.rules AS r, regexp_split_to_table(r.operation, ',') AS o, regexp_split_to_table(r.storage, ' ') AS s,
       regexp_split_to_table(btrim(r.letters), '\s+') WITH ORDINALITY AS l (letter, n)
       LEFT JOIN (SELECT c.class, c.n FROM t.rules, regexp_split_to_table(letters, '\s+') WITH ORDINALITY AS c (class, n) WHERE operation IS NULL) AS c USING (n)
       LEFT JOIN t.who USING (class);

SELECT plan(4 + (SELECT count(*)::int * 4 FROM t.operation));

SELECT is_empty($$ SELECT o.name, s, w.name FROM t.operation AS o, unnest('{local,public,private,legacy}'::text[]) AS s, t.who AS w
	EXCEPT SELECT operation, storage, who FROM t.cell $$, 'every principal, storage type and operation is in the table');
SELECT is_empty($$ SELECT operation, storage, who FROM t.cell
	EXCEPT SELECT o.name, s, w.name FROM t.operation AS o, unnest('{local,public,private,legacy}'::text[]) AS s, t.who AS w $$,
	'nothing else is');
SELECT is_empty($$ SELECT operation, storage, who, count(*) FROM t.cell GROUP BY 1, 2, 3 HAVING count(*) > 1 $$, 'none of them twice');

-- ---- Trying -------------------------------------------------------------------------------------

-- All that there is, as text.
CREATE FUNCTION t.everything() RETURNS text LANGUAGE sql AS $$
	SELECT t.state() || coalesce((SELECT string_agg(m::text, ' ' ORDER BY m) FROM diagsync.member AS m), '')
		|| coalesce((SELECT string_agg(a::text, ' ' ORDER BY a) FROM diagsync.access_token AS a), '')
		|| (SELECT count(*) FROM diagsync.sync_log) $$;

-- What becomes of an operation: the letter, or what there is no letter for.
CREATE FUNCTION t.try(operation text, storage text, who text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	o t.operation;
	w t.who;
	schema text := CASE storage WHEN 'legacy' THEN 'public' ELSE storage END;
	argument text[];
	token text;
	before text;
	result text;
	rows bigint;
	found text;
	quiet boolean;
BEGIN
	SELECT * INTO STRICT o FROM t.operation AS x WHERE x.name = operation;
	SELECT * INTO STRICT w FROM t.who AS x WHERE x.name = who;
	SELECT k.token INTO token FROM t.token AS k WHERE k.storage = try.storage AND k.kind = w.token;
	-- What finds no rows rather than fail.
	quiet := o.command LIKE 'UPDATE %' OR o.command LIKE 'DELETE %' OR o.name LIKE 'select %' OR o.name = 'status_all';
	argument := ARRAY[storage, schema, w.principal, (SELECT a.id FROM diagsync.access_token AS a WHERE a.diagram_id = storage AND label = 'expired')];

	-- The outer block is always rolled back.
	BEGIN
		IF w.class = 'owner' AND w.principal <> 'role:regress_mx_owner' THEN
			PERFORM diagsync.set_owner(storage, w.principal);
		END IF;
		IF o.mine AND storage IN ('public', 'private') AND operation <> 'link to it' THEN
			PERFORM diagsync.clone(storage, 'mine'), t.write('mine', 'a', '{"v": 5}'), t.write('mine', 'b', '{"v": 5}'),
				t.write(storage, 'a', '{"v": 6}'), t.write(storage, 'c', '{"v": 6}');
		ELSIF o.mine THEN
			PERFORM diagsync.create_diagram('M', 'local', 'mine');
		END IF;
		IF o.mine THEN
			PERFORM diagsync.set_owner('mine', w.principal);
		END IF;
		IF o.prepare IS NOT NULL THEN
			EXECUTE o.prepare;
		END IF;
		before := t.everything();

		BEGIN
			PERFORM set_config('diagsync.token', coalesce(token, ''), true);
			IF w.claim IS NOT NULL THEN
				SET LOCAL SESSION AUTHORIZATION regress_mx_authenticator;
				PERFORM set_config('request.jwt.claims', jsonb_build_object('sub', w.claim)::text, true);
			END IF;
			PERFORM set_config('role', w.role, true);
			IF o.command LIKE 'SELECT %' THEN
				EXECUTE format(o.command, VARIADIC argument) INTO result;
				rows := NULL;
			ELSE
				EXECUTE format(o.command, VARIADIC argument);
				GET DIAGNOSTICS rows = ROW_COUNT;
			END IF;
			SET LOCAL SESSION AUTHORIZATION DEFAULT;
			PERFORM set_config('diagsync.token', '', true), set_config('request.jwt.claims', '', true);
			IF quiet AND (rows = 0 OR result = '0') THEN
				found := '.';
			ELSE
				EXECUTE 'SELECT (' || format(o.effect, VARIADIC argument) || ')::text FROM (SELECT $1 AS result) AS r' INTO found USING result;
				found := CASE found WHEN 'true' THEN 'y' WHEN 'false' THEN 'no effect' ELSE found END;
			END IF;
		EXCEPTION WHEN OTHERS THEN
			found := CASE sqlstate WHEN '42704' THEN CASE WHEN quiet THEN '42704' ELSE '.' END WHEN '42501' THEN 'n' WHEN '42809' THEN 't' WHEN '55000' THEN 'l'
				ELSE sqlstate || ' ' || sqlerrm END;
		END;
		IF found NOT IN ('y', 'no effect') AND t.everything() IS DISTINCT FROM before THEN
			found := found || ', but something changed';
		END IF;
		RAISE EXCEPTION USING errcode = 'XX999';
	EXCEPTION WHEN SQLSTATE 'XX999' THEN
		NULL;
	END;
	RETURN found;
END $$;

UPDATE t.cell SET found = t.try(operation, storage, who) WHERE expected <> '-';

-- One test for each operation and storage type.
SELECT is(string_agg(format('%s: %s', who, found), ', ' ORDER BY w.n) FILTER (WHERE found IS DISTINCT FROM expected),
		string_agg(format('%s: %s', who, expected), ', ' ORDER BY w.n) FILTER (WHERE found IS DISTINCT FROM expected),
		c.operation || ', ' || c.storage || CASE WHEN bool_and(expected = '-') THEN ': no such case' ELSE '' END)
  FROM (SELECT operation, storage, who, nullif(expected, '-') AS expected, found FROM t.cell) AS c
  JOIN t.who AS w ON w.name = c.who JOIN t.operation AS o ON o.name = c.operation
 GROUP BY o.n, c.operation, c.storage ORDER BY o.n, c.storage;

SELECT ok(count(*) > 4000, count(*) || ' cells were tried') FROM t.cell WHERE found IS NOT NULL;

SELECT * FROM finish();
ROLLBACK;
