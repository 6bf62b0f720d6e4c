-- Attempts to be somebody else: claims, roles, definers, tokens, settings,
-- promotions. Each fails, or gives what the true caller has.
BEGIN;
\ir ../../common/pgtap/helpers.sql
\ir ../../common/pgtap/users.sql
SELECT no_plan();

-- What a caller is and sees: their principal, and whether P and L are there.
CREATE FUNCTION t.seen(username text, token text DEFAULT '', login text DEFAULT NULL, claims text DEFAULT '')
RETURNS text LANGUAGE sql AS $$
	SELECT t.as(username, 'SELECT diagsync.principal() || '' '' || coalesce((SELECT string_agg(id, '','' ORDER BY id)
		FROM diagsync.directory WHERE id IN (''P'', ''L'')), ''nothing'')', token, login, claims) $$;

SELECT is(t.seen('ann'), 'role:regress_ann L,P', 'the owner, to compare');
SELECT is(t.seen('ben'), 'role:regress_ben P', 'a member, to compare');
SELECT is(t.seen('eve'), 'role:regress_eve nothing', 'a stranger, to compare');

-- ---- Claims ----------------------------------------------------------------------------

SELECT t.as('ann', $$ SELECT diagsync.add_member('P', 'sub:olga', 'admin') $$);
SELECT t.as('web', $$ SELECT diagsync.create_diagram('Olga''s', 'local', 'O') $$, login => 'auth', claims => '{"sub": "olga"}');
SELECT is((SELECT owner FROM diagsync.directory WHERE id = 'O'), 'sub:olga', 'a trusted login''s claim is the owner of what it makes');
SELECT is(t.seen('web', login => 'auth', claims => '{"sub": "olga", "role": "regress_web"}'), 'sub:olga P', 'a trusted login''s claim counts');

SELECT matches(t.seen('eve', claims => '{"sub": "olga"}'), '^42501 the claims of a JWT are not believed in this session', 'claims that a SQL user set are refused');
SELECT matches(t.seen('web', claims => '{"sub": "olga"}'), '^42501 the claims of a JWT are not believed in this session', '... even if their role is the one of JWT users');
SELECT is(t.seen('auth', login => 'auth', claims => '{"sub": "olga"}'), '42501 permission denied for schema diagsync',
	'an authenticator that has no usage itself gets none by a claim');
SELECT matches(t.as('eve', $$ SELECT set_config('request.jwt.claim.sub', 'olga', true) || set_config('request.jwt.claims', '{"sub": "olga"}', true)
	|| set_config('request.headers', '{"sub": "olga"}', true) || diagsync.principal() $$), '^42501 the claims of a JWT are not believed in this session',
	'... in the very query');
SELECT is(t.as('eve', $$ SELECT set_config('request.jwt.claim.sub', 'olga', true) || set_config('request.headers', '{"sub": "olga"}', true) || diagsync.principal() $$),
	'olga{"sub": "olga"}role:regress_eve', 'nor does any other setting make them another');
SELECT t.refused('eve', $$ SELECT diagsync.set_owner(set_config('request.jwt.claims', '{"sub": "olga"}', true) || 'O', 'role:regress_eve') $$,
	'42501', 'sets claims in the very call');

-- Claims without a sub are the role's; malformed ones an error.
SELECT is(t.seen('web', login => 'auth', claims => c), 'role:regress_web nothing', 'claims that name nobody: ' || c)
  FROM unnest(ARRAY['', '{}', '{"sub": null}', '{"Sub": "olga"}', '{"SUB": "olga"}', '{" sub": "olga"}', '{"a": {"sub": "olga"}}', '{"role": "regress_ann"}']) AS c;
SELECT is(t.seen('eve', claims => c), 'role:regress_eve nothing', 'in a session that is not trusted, too: ' || c)
  FROM unnest(ARRAY['', '{}', '{"sub": null}', '{"role": "regress_ann"}']) AS c;
SELECT matches(t.seen(u, login => l, claims => c), '^(22023|22P02|22P05|54001) ', 'malformed claims of ' || u || ': ' || left(c, 40))
  FROM (VALUES ('web', 'auth'), ('eve', NULL)) AS v (u, l), unnest(ARRAY['olga', 'null', '{"sub": ""}', 'not json', '{', '{"sub": "olga"', '{"sub": "olga"} x', '{"sub": "olga"}{"sub": "olga"}', '"olga"', '["sub", "olga"]', '[{"sub": "olga"}]',
	'5', 'true', '{"sub": 5}', '{"sub": true}', '{"sub": ["olga"]}', '{"sub": {"sub": "olga"}}', '{"sub": "a\u0000b"}', '{"sub": "\ud800"}',
	repeat('[', 100000), '{"a": ' || repeat('{"sub":', 100000)]) AS c;
SELECT is(t.seen('web', login => 'auth', claims => c), want || ' nothing', 'a claim is taken as it is: ' || c)
  FROM (VALUES ('{"sub": " olga"}', 'sub: olga'), ('{"sub": "olga "}', 'sub:olga '), ('{"sub": "OLGA"}', 'sub:OLGA'), ('{"sub": "olg\u0061x"}', 'sub:olgax'),
	('{"sub": "role:regress_ann"}', 'sub:role:regress_ann'), ('{"sub": "sub:olga"}', 'sub:sub:olga'), ('{"sub": "%"}', 'sub:%'),
	('{"sub": "olga'' OR true --"}', 'sub:olga'' OR true --'), ('{"sub": "' || repeat('x', 255) || '"}', 'sub:' || repeat('x', 255))) AS v (c, want);
SELECT alike(t.seen('web', login => 'auth', claims => '{"sub": "' || repeat('x', 1000000) || '"}'), '%', 'a very long one does no harm');

-- Role names that look like claims, and the other way round.
CREATE ROLE "sub:olga";
CREATE ROLE "regress_a:b'c""d";
SELECT diagsync.grant_usage(r) FROM unnest(ARRAY['sub:olga', 'regress_a:b''c"d']) AS r;
SET ROLE "sub:olga";
SELECT diagsync.principal() || ' ' || (SELECT count(*) FROM diagsync.directory WHERE id IN ('P', 'O')) AS got \gset
RESET ROLE;
SELECT is(:'got'::text, 'role:sub:olga 0', 'a role called like a claim is a role');
SET ROLE "regress_a:b'c""d";
SELECT diagsync.principal() AS got \gset
SELECT diagsync.create_diagram('Odd', 'local', 'odd role') \gset
RESET ROLE;
SELECT is(:'got'::text, 'role:regress_a:b''c"d', 'a role with an odd name');
SELECT is((SELECT owner FROM diagsync.directory WHERE id = 'odd role'), 'role:regress_a:b''c"d', '... owns what it makes');

-- ---- The list of trusted logins ------------------------------------------------------------

CREATE ROLE "Regress_Auth";
CREATE ROLE "regress_auth, x";
CREATE ROLE regress_auth2;
CREATE FUNCTION t.listed(list text, login text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	result text;
BEGIN
	BEGIN
		PERFORM set_config('diagsync.trusted_authenticators', list, true);
		EXECUTE format('GRANT regress_web TO %I', login);
		PERFORM set_config('session_authorization', login, true), set_config('role', 'regress_web', true);
		PERFORM set_config('request.jwt.claims', '{"sub": "olga"}', true);
		result := diagsync.principal();
		RAISE EXCEPTION USING errcode = 'XX999';
	EXCEPTION WHEN SQLSTATE 'XX999' THEN
		RETURN result;
	WHEN OTHERS THEN
		RETURN sqlstate;
	END;
END $$;
SELECT is(t.listed(list, login), CASE trusted WHEN true THEN 'sub:olga' WHEN false THEN '42501' ELSE '22023' END,
		format('trusted_authenticators = %s, login %s', list, login))
  FROM (VALUES ('regress_auth', 'regress_auth', true), ('REGRESS_Auth', 'regress_auth', true), (' regress_auth2 , regress_auth ', 'regress_auth', true),
	('"regress_auth"', 'regress_auth', true), ('"Regress_Auth"', 'regress_auth', false), ('"Regress_Auth"', 'Regress_Auth', true),
	('Regress_Auth', 'Regress_Auth', false), ('regress_auth', 'Regress_Auth', false), ('regress_auth', 'regress_auth2', false),
	('regress_auth2', 'regress_auth', false), ('"regress_auth, x"', 'regress_auth, x', true), ('"regress_auth, x"', 'regress_auth', false),
	('regress_auth, x', 'regress_auth, x', false), ('', 'regress_auth', false), ('*', 'regress_auth', false), ('"*"', 'regress_auth', false),
	('regress_aut', 'regress_auth', false), ('"regress%"', 'regress_auth', false), ('regress_web', 'regress_auth', false), ('public', 'regress_auth', false),
	('regress_auth,', 'regress_auth', NULL), ('"regress_auth', 'regress_auth', NULL), ('regress_auth,,x', 'regress_auth', NULL),
	('regress_auth x', 'regress_auth', NULL)) AS v (list, login, trusted);
-- A changed list counts at once.
SELECT is(t.seen('web', login => 'auth', claims => '{"sub": "olga"}'), 'sub:olga P', 'trusted');
SET LOCAL diagsync.trusted_authenticators = 'somebody';
SELECT matches(t.seen('web', login => 'auth', claims => '{"sub": "olga"}'), '^42501 the claims of a JWT are not believed in this session', '... and not any more');
SET LOCAL diagsync.trusted_authenticators = 'regress_auth';

-- ---- Roles -----------------------------------------------------------------------------------

SELECT is(t.seen('web', login => 'auth'), 'role:regress_web nothing', 'a trusted login without claims is the role in force');
SELECT is(t.seen('ann', login => 'auth'), 'role:regress_ann L,P', '... also where it sets another role');
SELECT is(t.seen('ann', login => 'auth', claims => '{"sub": "nobody"}'), 'sub:nobody nothing', 'with claims the role in force does not count');
SELECT is(t.seen('ann', login => 'auth', claims => '{"sub": "olga"}'), 'sub:olga P', '... whichever it is');
SELECT is(t.seen('eve', login => 'ben'), '42501 permission denied to set role "regress_eve"', 'SET ROLE without membership is PostgreSQL''s to refuse');
GRANT regress_ann TO regress_eve;
SELECT is(t.seen('eve'), 'role:regress_eve nothing', 'a membership that is not set as the role gives nothing');
SELECT is(t.seen('ann', login => 'eve'), 'role:regress_ann L,P', '... set, it is the role in force');
REVOKE regress_ann FROM regress_eve;
SELECT t.refused('eve', 'SET ROLE regress_ann', '42501');

-- One session, one transaction, one statement: functions of different definers.
CREATE FUNCTION t.picture() RETURNS text LANGUAGE sql VOLATILE AS $$
	SELECT diagsync.principal() || ':' || coalesce(diagsync.access('P'), '-') || ':' || (SELECT count(*) FROM diagsync_private.entity)
		|| ':' || (SELECT count(*) FROM diagsync.directory WHERE id IN ('P', 'L')) $$;
DO $$
DECLARE
	u text;
BEGIN
	FOREACH u IN ARRAY '{ann,ben,ray,eve}'::text[] LOOP
		EXECUTE format('CREATE FUNCTION t.by_%s() RETURNS text LANGUAGE plpgsql VOLATILE SECURITY DEFINER AS
			''BEGIN RETURN diagsync.principal() || '''':'''' || coalesce(diagsync.access(''''P''''), ''''-'''') || '''':'''' || (SELECT count(*) FROM diagsync_private.entity)
				|| '''':'''' || (SELECT count(*) FROM diagsync.directory WHERE id IN (''''P'''', ''''L'''')); END''', u);
		EXECUTE format('ALTER FUNCTION t.by_%s() OWNER TO regress_%s', u, u);
	END LOOP;
END $$;
SELECT is(t.as('eve', 'SELECT concat_ws('' '', t.by_ann(), t.picture(), t.by_ben(), t.by_eve(), t.by_ray(), t.picture(), t.by_ann())'),
	'role:regress_ann:owner:2:2 role:regress_eve:-:0:0 role:regress_ben:writer:2:1 role:regress_eve:-:0:0 role:regress_ray:reader:2:1 role:regress_eve:-:0:0 role:regress_ann:owner:2:2',
	'definers of functions are the callers within, and no answer for one is kept for the next');
SELECT is(t.as('ann', 'SELECT concat_ws('' '', t.picture(), t.by_eve(), t.picture())'),
	'role:regress_ann:owner:2:2 role:regress_eve:-:0:0 role:regress_ann:owner:2:2', 'the other way round');
SELECT is(t.as('ann', $$ SELECT string_agg(coalesce(diagsync.access('P'), '-') || t.by_eve() || coalesce(diagsync.access(d.id), '-'), ' ' ORDER BY d.id)
	FROM diagsync.directory AS d WHERE id IN ('P', 'L') $$),
	'ownerrole:regress_eve:-:0:0owner ownerrole:regress_eve:-:0:0owner', '... row by row in one scan');
-- A definer's function that writes, called by the stranger, and the reverse.
CREATE FUNCTION t.write_by_ann() RETURNS text LANGUAGE sql VOLATILE SECURITY DEFINER AS $$
	INSERT INTO diagsync_private.entity (diagram_id, id, doc) VALUES ('P', 'definer', '{}') RETURNING modified_by $$;
ALTER FUNCTION t.write_by_ann() OWNER TO regress_ann;
SELECT is(t.as('eve', 'SELECT t.write_by_ann()'), 'role:regress_ann', 'a definer''s function writes as the definer');
CREATE FUNCTION t.write_by_eve() RETURNS text LANGUAGE sql VOLATILE SECURITY DEFINER AS $$
	INSERT INTO diagsync_private.entity (diagram_id, id, doc) VALUES ('P', 'trojan', '{}') RETURNING modified_by $$;
ALTER FUNCTION t.write_by_eve() OWNER TO regress_eve;
SELECT t.refused('ann', 'SELECT t.write_by_eve()', '42704', 'calls a stranger''s function');
SELECT is(t.as('web', 'SELECT t.by_ann()', login => 'auth', claims => '{"sub": "nobody"}'), 'sub:nobody:-:0:0',
	'in a trusted session with claims the definer of a function does not count either');

-- Claims, token and role change within a transaction and within a statement.
CREATE TABLE t.token AS SELECT t.as('ann', $$ SELECT diagsync.create_token('P', 'reader') $$) AS token;
GRANT SELECT ON t.token TO regress_eve, regress_web, regress_ano;
SELECT is(t.as('eve', $$ SELECT concat_ws(' ', t.picture(), left(set_config('diagsync.token', token, true), 0), t.picture(),
	left(set_config('diagsync.token', '', true), 0), t.picture()) FROM t.token $$),
	'role:regress_eve:-:0:0  role:regress_eve:reader:3:1  role:regress_eve:-:0:0',
	'a token counts from when it is set to when it is not');
SELECT is(t.as('web', $$ SELECT concat_ws(' ', t.picture(), left(set_config('request.jwt.claims', '{"sub": "nobody"}', true), 0), t.picture(),
	left(set_config('request.jwt.claims', '', true), 0), t.picture()) $$, login => 'auth', claims => '{"sub": "olga"}'),
	'sub:olga:admin:3:1  sub:nobody:-:0:0  role:regress_web:-:0:0', 'so do claims');
-- Membership given and taken within a transaction.
SELECT is(t.as('eve', 'SELECT t.picture()'), 'role:regress_eve:-:0:0', 'before');
SELECT t.as('ann', $$ SELECT diagsync.add_member('P', 'role:regress_eve', 'writer') $$);
SELECT is(t.as('eve', 'SELECT t.picture()'), 'role:regress_eve:writer:3:1', 'let in');
SELECT t.as('ann', $$ SELECT diagsync.add_member('P', 'role:regress_eve', 'reader') $$);
SELECT is(t.as('eve', 'SELECT t.picture()'), 'role:regress_eve:reader:3:1', 'another role');
SELECT t.as('eve', $$ SELECT diagsync.remove_member('P', 'role:regress_eve') $$);
SELECT is(t.as('eve', 'SELECT t.picture()'), 'role:regress_eve:-:0:0', 'left');
SAVEPOINT s;
SELECT t.as('ann', $$ SELECT diagsync.add_member('P', 'role:regress_eve', 'writer') $$);
SELECT t.as('eve', 'SELECT t.picture()');
ROLLBACK TO s;
SELECT is(t.as('eve', 'SELECT t.picture()'), 'role:regress_eve:-:0:0', 'let in by a subtransaction that was rolled back');

-- What PL/pgSQL keeps of an expression lasts as long as the transaction.
CREATE FUNCTION t.asks() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	reads boolean := diagsync.may_read('P');
BEGIN
	IF diagsync.may_write('P') THEN
		RETURN 'writer';
	END IF;
	RETURN CASE WHEN reads THEN 'reader' ELSE 'nobody' END;
END $$;
SELECT is((SELECT string_agg(t.as(u, 'SELECT t.asks()'), ' ' ORDER BY n) FROM unnest('{ann,eve,ray,ben,eve,ano}'::text[]) WITH ORDINALITY AS x (u, n)),
	'writer nobody reader writer nobody nobody', 'may_read() and may_write() in PL/pgSQL expressions answer who asks now');
SAVEPOINT s;
SELECT t.as('ann', $$ SELECT diagsync.remove_member('P', 'role:regress_ben') $$);
SELECT is(t.as('ben', 'SELECT t.asks()'), 'nobody', '... and by what is so now');
ROLLBACK TO s;

-- ---- Cached plans, cursors ----------------------------------------------------------------------

CREATE FUNCTION t.cached() RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN RETURN (SELECT count(*) FROM diagsync_private.entity WHERE diagram_id = 'P'); END $$;
SELECT is((SELECT string_agg(t.as(u, 'SELECT t.cached()'), ' ' ORDER BY n) FROM unnest('{ann,eve,ann,ray,eve,ano,ann}'::text[]) WITH ORDINALITY AS x (u, n)),
	'3 0 3 3 0 0 3', 'a plan cached in PL/pgSQL serves everybody their own');
SET LOCAL plan_cache_mode = force_generic_plan;
PREPARE q(text) AS SELECT count(*)::text || coalesce(min(modified_by), '') FROM diagsync_private.entity WHERE diagram_id = $1;
PREPARE w(text) AS INSERT INTO diagsync_private.entity (diagram_id, id, doc) VALUES ('P', $1, '{}') RETURNING modified_by;
SELECT is((SELECT string_agg(t.as(u, 'EXECUTE q(''P'')'), ' ' ORDER BY n) FROM unnest('{ann,eve,ann,ray,eve,ano,ann}'::text[]) WITH ORDINALITY AS x (u, n)),
	'3role:regress_ann 0 3role:regress_ann 3role:regress_ann 0 0 3role:regress_ann', 'so does a prepared statement');
SELECT is(t.as('ann', 'EXECUTE w(''w1'')'), 'role:regress_ann', 'a prepared statement that writes');
SELECT t.refused('eve', 'EXECUTE w(''w2'')', '42704');
SELECT t.refused('ray', 'EXECUTE w(''w3'')', '42501');
SELECT is(t.as('ben', 'EXECUTE w(''w4'')'), 'role:regress_ben', '... for one who may again');
SELECT is(t.as('web', 'EXECUTE w(''w5'')', login => 'auth', claims => '{"sub": "olga"}'), 'sub:olga', '... notes by whom');
-- A cursor of a stranger sees nothing, whoever fetches; one of the owner's, fetched
-- by the stranger, no more than either may see.
SET ROLE regress_eve;
DECLARE c1 CURSOR FOR SELECT id FROM diagsync_private.entity;
RESET ROLE;
SET ROLE regress_ann;
DECLARE c2 CURSOR FOR SELECT id FROM diagsync_private.entity ORDER BY id;
RESET ROLE;
SET ROLE regress_eve;
FETCH 1 FROM c1;
\set rows1 :ROW_COUNT
RESET ROLE;
SELECT is(:rows1, 0, 'a stranger''s cursor sees nothing');
CLOSE c1;
CLOSE c2;

-- ---- Views ----------------------------------------------------------------------------------------

GRANT CREATE ON SCHEMA t TO regress_ann, regress_eve;
SELECT t.as('ann', 'CREATE VIEW t.of_ann AS SELECT * FROM diagsync_private.entity');
SELECT t.as('ann', 'GRANT SELECT ON t.of_ann TO regress_eve, regress_ben');
SELECT is(t.as('eve', 'SELECT count(*) FROM t.of_ann'), '0', 'a view of the owner''s shows a stranger nothing');
SELECT t.as('eve', 'CREATE VIEW t.of_eve AS SELECT * FROM diagsync_private.entity');
SELECT is(t.as('eve', 'SELECT count(*) FROM t.of_eve'), '0', 'nor does one of their own');
SELECT t.as('eve', 'CREATE MATERIALIZED VIEW t.mat_of_eve AS SELECT * FROM diagsync.entity WHERE diagram_id IN (''P'', ''L'')');
SELECT is((SELECT count(*) FROM t.mat_of_eve), 0::bigint, 'nor a materialized one');
SELECT is(t.as('eve', 'SELECT count(*) FROM diagsync.entity WHERE diagram_id IN (''P'', ''L'')'), '0', 'nor diagsync.entity');
SELECT is(t.as('eve', 'SELECT count(*) FROM diagsync_api.private_entities'), '0', 'nor the views of the REST schema');
SELECT is(t.as('eve', 'SELECT count(*) FROM diagsync_api.diagrams WHERE _id IN (''P'', ''L'')'), '0', '... of diagrams');

-- ---- Settings ------------------------------------------------------------------------------------------

SELECT t.refused('eve', format('%s diagsync.%s = %s', c, s, v), '42501')
  FROM (VALUES ('trusted_authenticators', 'regress_eve'), ('sync_rate_limit', '0'), ('sync_log_days', '0'), ('max_entity_size', '0'),
	('max_entities', '0'), ('max_put_entities', '0')) AS s (s, v), unnest('{SET,SET LOCAL,ALTER ROLE regress_eve SET}'::text[]) AS c;
SELECT t.refused('eve', $$ SELECT set_config('diagsync.trusted_authenticators', 'regress_eve', false) $$, '42501');
SELECT t.refused('eve', $$ CREATE FUNCTION t.f() RETURNS int LANGUAGE sql SET diagsync.trusted_authenticators = 'regress_eve' AS 'SELECT 1' $$, '42501',
	'sets trusted_authenticators by a function');
SELECT t.refused('eve', $$ UPDATE pg_settings SET setting = 'regress_eve' WHERE name = 'diagsync.trusted_authenticators' $$, '42501');
SELECT is(t.as('eve', $$ SET diagsync.batch_size = 10 $$), '0 rows', 'what users may set they may');
SELECT is((SELECT count(*) FROM pg_settings WHERE name = 'diagsync.token'), 0::bigint, 'SHOW ALL has no token');

-- ---- Tokens --------------------------------------------------------------------------------------------

CREATE FUNCTION t.bears(token text) RETURNS text LANGUAGE sql AS $$
	SELECT t.as('eve', 'SELECT coalesce(diagsync.access(''P''), ''none'') || '' '' || (SELECT count(*) FROM diagsync_private.entity WHERE diagram_id = ''P'')', token => token) $$;
INSERT INTO t.token SELECT t.as('ann', $$ SELECT diagsync.create_token('P', 'admin') $$) UNION ALL
	SELECT t.as('ann', $$ SELECT diagsync.create_token('U', 'admin') $$);
CREATE TABLE t.hash AS SELECT token, split_part(token, '.', 1) AS id, split_part(token, '.', 2) AS secret, diagram_id, role, secret_hash
	FROM t.token JOIN diagsync.access_token ON split_part(token, '.', 1) = id;
SELECT is((SELECT string_agg(diagram_id || ' ' || role || ' ' || t.bears(token), ', ' ORDER BY diagram_id, role) FROM t.hash),
	'P admin admin 6, P reader reader 6, U admin none 0', 'tokens, to compare');
SELECT is(count(*), 3::bigint, 'what is stored is the SHA-256 of the secret as it is shown, or of its bytes')
  FROM t.hash WHERE secret_hash = sha256(convert_to(secret, 'UTF8'))
	OR secret_hash = sha256(CASE WHEN secret ~ '^([0-9a-f]{2})+$' THEN decode(secret, 'hex')
		ELSE decode(rpad(translate(secret, '-_', '+/'), (length(secret) + 3) / 4 * 4, '='), 'base64') END);
SELECT cmp_ok(min(length(secret)), '>=', 43, 'a secret has 32 bytes at least') FROM t.hash;
SELECT is(t.bears(guess), 'none 0', 'a guessed token: ' || kind)
  FROM t.hash AS h JOIN t.hash AS o ON o.diagram_id = 'U', t.hash AS r, LATERAL (VALUES
	('no secret', h.id), ('an empty secret', h.id || '.'), ('only the secret', h.secret), ('only a dot', '.'),
	('another''s secret', h.id || '.' || o.secret), ('the secret with another''s id', o.id || '.' || h.secret),
	('the reader''s secret', h.id || '.' || r.secret),
	('the hash in hex', h.id || '.' || encode(h.secret_hash, 'hex')), ('the hash in base64', h.id || '.' || encode(h.secret_hash, 'base64')),
	('the hash in base64url', h.id || '.' || rtrim(translate(encode(h.secret_hash, 'base64'), '+/', '-_'), '=')),
	('the hash as bytea', h.id || '.' || h.secret_hash::text), ('the secret cut', left(h.token, -1)), ('the secret and more', h.token || 'A'),
	('the secret twice', h.token || '.' || h.secret), ('another last character', left(h.token, -1) || CASE right(h.token, 1) WHEN 'A' THEN 'E' ELSE 'A' END),
	('another first character', h.id || '.' || CASE left(h.secret, 1) WHEN 'A' THEN 'B' ELSE 'A' END || substr(h.secret, 2)),
	('the other case', h.id || '.' || translate(h.secret, 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz', 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ')),
	('SQL', h.id || '''; --.' || h.secret), ('a wildcard', '%.' || h.secret), ('a wildcard in the secret', h.id || '.%'), ('very long', h.token || repeat('A', 255 - length(h.token))),
	('two', h.token || ',' || h.token), ('a line more', h.token || E'\n')) AS g (kind, guess)
 WHERE h.diagram_id = 'P' AND h.role = 'admin' AND r.diagram_id = 'P' AND r.role = 'reader';
SELECT is(t.as('eve', $$ SELECT left(set_config('request.headers', json_build_object('x-diagsync-token', token)::text, true), 0) || diagsync.access('P') FROM t.token LIMIT 1 $$),
	'reader', 'a token in the header of a request');
SELECT ok(t.as('eve', format($$ SELECT left(set_config('request.headers', %L, true), 0) || coalesce(diagsync.access('P'), 'none') $$, h)) ~ '^(none$|\w{5} )', 'a header that is none: ' || left(h, 40))
  FROM unnest(ARRAY['x', '{', '[]', '5', '{"x-diagsync-token": 5}', '{"x-diagsync-token": null}', '{"x-diagsync-token": {}}', '{"x-diagsync-token": ""}', repeat('[', 100000)]) AS h;
SELECT is(t.as('ano', $$ SELECT diagsync.access('P') $$, token => token), 'reader', 'an anonymous bearer') FROM t.token LIMIT 1;
UPDATE diagsync.access_token AS a SET secret_hash = set_byte(a.secret_hash, 31, get_byte(a.secret_hash, 31) # 1) FROM t.hash AS h WHERE a.id = h.id;
SELECT is(t.bears(token), 'none 0', 'a secret whose hash differs in the last bit') FROM t.hash WHERE diagram_id = 'P' AND role = 'admin';
UPDATE diagsync.access_token AS a SET secret_hash = h.secret_hash FROM t.hash AS h WHERE a.id = h.id;

-- A diagram from before storage types has members like a public one, until it is local.
INSERT INTO diagsync.directory (id, name, owner) VALUES ('legacy', 'D', 'role:regress_ann');
SELECT t.as('ann', $$ SELECT diagsync.add_member('legacy', 'role:regress_ben', 'admin') $$);
SELECT is(t.as('ben', $$ SELECT diagsync.access('legacy') $$), 'admin', 'a member of a diagram without a storage type');
SELECT t.as('ann', $$ SELECT diagsync.set_storage_type('legacy', 'local') $$);
SELECT is(t.as('ben', $$ SELECT coalesce(diagsync.access('legacy'), 'none') $$), 'none', '... is none when it has become local');

-- Secrets cannot be read, by anybody who is no superuser.
SELECT t.refused(u, c, '42501')
  FROM unnest('{ann,ada,ben,eve,ano}'::text[]) AS u, unnest(ARRAY['SELECT secret_hash FROM diagsync.access_token', 'SELECT * FROM diagsync.access_token', 'TABLE diagsync.access_token',
	'SELECT a::text FROM diagsync.access_token AS a', 'SELECT to_jsonb(a) FROM diagsync.access_token AS a', 'SELECT id FROM diagsync.access_token ORDER BY secret_hash',
	'SELECT count(*) FROM diagsync.access_token WHERE secret_hash > ''\x80''', 'SELECT id FROM diagsync.access_token FOR UPDATE']) AS c;
ANALYZE diagsync.access_token;
SELECT is(t.as('ann', $$ SELECT count(*) FROM pg_stats WHERE tablename = 'access_token' AND attname = 'secret_hash' $$), '0', 'nor by way of statistics');
-- Somebody else's.
SELECT t.refused(u, format('SELECT diagsync.revoke_token(%L)', id), '42704', 'revokes another''s token')
  FROM unnest('{eve,ben,ray}'::text[]) AS u, t.hash WHERE diagram_id = 'P' AND role = 'admin';
SELECT is(t.as('eve', 'SELECT diagsync.revoke_token(''nix'')'), replace(t.as('eve', format('SELECT diagsync.revoke_token(%L)', id)), id, 'nix'),
	'... and learns nothing of its existence') FROM t.hash WHERE diagram_id = 'P' AND role = 'admin';
SELECT t.refused(u, format('SELECT diagsync.revoke_token(%L)', token), '42704', 'revokes by the whole token')
  FROM unnest('{eve,ben}'::text[]) AS u, t.hash WHERE diagram_id = 'P' AND role = 'admin';
SELECT t.refused('eve', $$ SELECT diagsync.create_token('P', 'admin') $$, '42501', 'makes an admin''s token with a reader''s', token => token)
  FROM t.hash WHERE diagram_id = 'P' AND role = 'reader';
SELECT t.refused('ann', c, '22023') FROM unnest(ARRAY[$$ SELECT diagsync.create_token('P', 'owner') $$, $$ SELECT diagsync.create_token('P', 'Admin') $$, $$ SELECT diagsync.create_token('P', '') $$,
	$$ SELECT diagsync.create_token('P', 'reader', '-1 hour') $$, $$ SELECT diagsync.create_token('P', 'reader', '0') $$]) AS c;
-- Tokens of different lives.
SELECT t.as('ann', format('SELECT diagsync.revoke_token(%L)', id)) FROM t.hash WHERE diagram_id = 'P' AND role = 'reader';
SELECT is(t.bears(token), 'none 0', 'revoked in this transaction') FROM t.hash WHERE diagram_id = 'P' AND role = 'reader';
CREATE TABLE t.short AS SELECT t.as('ann', $$ SELECT diagsync.create_token('P', 'writer', '300 milliseconds') $$) AS token;
SELECT pg_sleep(0.4);
SELECT is(t.bears(token), 'none 0', 'expired since the transaction began') FROM t.short;

-- ---- Taking over ------------------------------------------------------------------------------------------

SELECT t.refused(u, c, e)
  FROM (VALUES
	('ben', $$ SELECT diagsync.add_member('P', 'role:regress_ben', 'admin') $$, '42501'),
	('ray', $$ SELECT diagsync.add_member('P', 'role:regress_ray', 'writer') $$, '42501'),
	('eve', $$ SELECT diagsync.add_member('P', 'role:regress_eve', 'reader') $$, '42704'),
	('eve', $$ SELECT diagsync.add_member('U', 'role:regress_eve', 'admin') $$, '42501'),
	('ada', $$ SELECT diagsync.set_owner('P', 'role:regress_ada') $$, '42501'),
	('ben', $$ SELECT diagsync.set_owner('P', 'role:regress_ben') $$, '42501'),
	('eve', $$ SELECT diagsync.set_owner('P', 'role:regress_eve') $$, '42704'),
	('eve', $$ SELECT diagsync.set_owner('L', 'role:regress_eve') $$, '42704'),
	('ada', $$ UPDATE diagsync.directory SET owner = 'role:regress_ada' WHERE id = 'P' $$, '42501'),
	('ada', $$ UPDATE diagsync.directory SET owner = DEFAULT WHERE id = 'P' $$, '42501'),
	('ben', $$ SELECT diagsync.remove_member('P', 'role:regress_ada') $$, '42501'),
	('ben', $$ SELECT diagsync.remove_member('P', 'role:regress_ray') $$, '42501'),
	('ann', $$ SELECT diagsync.add_member('P', 'regress_eve', 'reader') $$, '22023'),
	('ann', $$ SELECT diagsync.add_member('P', '', 'reader') $$, '22023'),
	('ann', $$ SELECT diagsync.add_member('P', 'role:', 'reader') $$, '22023'),
	('ann', $$ SELECT diagsync.add_member('P', 'public', 'reader') $$, '22023'),
	('ann', $$ SELECT diagsync.add_member('P', 'role:regress_eve', 'owner') $$, '22023'),
	('ann', $$ SELECT diagsync.set_owner('P', 'regress_eve') $$, '22023'),
	('eve', $$ SELECT diagsync.share('E', 'P') $$, '42710'),
	('eve', $$ SELECT diagsync.create_diagram('x', 'private', 'P') $$, '42710'),
	('eve', $$ SELECT diagsync.clone('U', 'L') $$, '42710')) AS v (u, c, e);
-- The owner stays the owner, whatever an admin calls them.
SELECT is(t.as('ada', c), want, 'ada: ' || c)
  FROM (VALUES ($$ SELECT left(diagsync.add_member('P', 'role:regress_ann', 'reader')::text, 0) $$, '')) AS v (c, want);
SELECT is(t.as('ann', $$ SELECT diagsync.access('P') $$), 'owner', 'an owner made a reader is the owner');
SELECT is(t.as('ada', $$ SELECT left(diagsync.remove_member('P', 'role:regress_ann')::text, 0) || diagsync.access('P') $$), 'admin', 'an admin');
SELECT is(t.as('ann', $$ SELECT diagsync.access('P') $$), 'owner', '... removed as a member, too');
-- Given away.
SELECT t.as('ann', $$ SELECT diagsync.set_owner('P', 'role:regress_ben') $$);
SELECT is(t.as('ann', $$ SELECT coalesce(diagsync.access('P'), 'none') $$), 'none', 'who gave it away has only what they have otherwise');
SELECT is(t.as('ben', $$ SELECT diagsync.access('P') $$), 'owner', 'the new owner');
SELECT t.refused('ann', $$ SELECT diagsync.set_owner('P', 'role:regress_ann') $$, '42704');
SELECT t.as('ben', $$ SELECT diagsync.set_owner('P', 'role:regress_ann') $$);
-- A diagram made under the id of one that was dropped has nobody's members and tokens.
SELECT t.as('ann', $$ SELECT diagsync.drop_diagram('P') $$);
SELECT t.as('eve', $$ SELECT diagsync.create_diagram('New', 'private', 'P') $$);
SELECT is((SELECT string_agg(coalesce(t.as(u, 'SELECT diagsync.access(''P'')'), 'none'), ' ' ORDER BY n) FROM unnest('{ann,ada,ben,ray,eve}'::text[]) WITH ORDINALITY AS x (u, n)),
	'none none none none owner', 'a new diagram of an old id does not have the old one''s members');
SELECT is(t.as('ben', 'SELECT coalesce(diagsync.access(''P''), ''none'')', token => token), 'none', '... nor its tokens') FROM t.hash WHERE diagram_id = 'P' AND role = 'admin';

-- ---- Giving usage -------------------------------------------------------------------------------------------

SELECT t.refused(u, c, '42501')
  FROM unnest('{ann,eve,ano}'::text[]) AS u, unnest(ARRAY[$$ SELECT diagsync.grant_usage('regress_eve') $$, $$ SELECT diagsync.revoke_usage('regress_ben') $$, 'SELECT diagsync.prune()',
	'SELECT diagsync.prune(''0'')']) AS c;
CREATE ROLE "regress_x""; ALTER ROLE regress_eve SUPERUSER; --";
SELECT lives_ok($$ SELECT diagsync.grant_usage('regress_x"; ALTER ROLE regress_eve SUPERUSER; --') $$, 'usage for a role with SQL in its name');
SELECT lives_ok($$ SELECT diagsync.revoke_usage('regress_x"; ALTER ROLE regress_eve SUPERUSER; --') $$, '... revoked');
SELECT lives_ok('DROP ROLE "regress_x""; ALTER ROLE regress_eve SUPERUSER; --"', 'then nothing hangs on it any more');
SELECT ok(NOT rolsuper, 'and no harm was done') FROM pg_roles WHERE rolname = 'regress_eve';
SELECT matches(t.error(format('SELECT diagsync.grant_usage(%L)', r)), '^(42704|22023|0LP01|42939) ', 'usage for no role: ' || r) FROM unnest(ARRAY['nix', '', 'regress_ann, regress_eve', 'PUBLIC', 'public', 'REGRESS_EVE']) AS r;
SELECT is_empty($$ SELECT n.nspname || '.' || p.proname FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace
	WHERE nspname LIKE 'diagsync%' AND has_function_privilege('public', p.oid, 'EXECUTE') $$, 'PUBLIC may call no function');
SELECT is_empty($$ SELECT c.oid::regclass FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
	WHERE nspname LIKE 'diagsync%' AND relkind IN ('r', 'v') AND (has_table_privilege('public', c.oid, 'SELECT,INSERT,UPDATE,DELETE,TRUNCATE,REFERENCES,TRIGGER')
		OR has_any_column_privilege('public', c.oid, 'SELECT,INSERT,UPDATE,REFERENCES')) $$, '... and reach no table');
SELECT is_empty($$ SELECT nspname FROM pg_namespace WHERE nspname LIKE 'diagsync%' AND has_schema_privilege('public', oid, 'USAGE,CREATE') $$, '... and no schema');
SELECT is_empty($$ SELECT c.oid::regclass FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
	WHERE nspname LIKE 'diagsync%' AND relkind = 'r' AND NOT relrowsecurity $$, 'every table has row-level security');
SELECT is_empty($$ SELECT r, n.nspname FROM unnest('{regress_ann,regress_ano}'::text[]) AS r, pg_namespace AS n WHERE nspname LIKE 'diagsync%' AND has_schema_privilege(r, n.oid, 'CREATE') $$,
	'nobody may create anything in the schemas');
SELECT is_empty($$ SELECT r, c.oid::regclass FROM unnest('{regress_ann,regress_ano}'::text[]) AS r, pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
	WHERE nspname LIKE 'diagsync%' AND relkind IN ('r', 'v') AND (has_table_privilege(r, c.oid, 'TRUNCATE,REFERENCES,TRIGGER') OR has_any_column_privilege(r, c.oid, 'REFERENCES')) $$,
	'... or truncate, refer to or put triggers on the tables');
SELECT is_empty($$ SELECT r, p.oid::regprocedure FROM unnest('{regress_ann,regress_ano}'::text[]) AS r, pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace
	WHERE nspname LIKE 'diagsync%' AND prorettype = 'trigger'::regtype AND has_function_privilege(r, p.oid, 'EXECUTE') $$, '... or call the trigger functions, so as to put them on tables of their own');
SELECT diagsync.revoke_usage('regress_eve');
SELECT t.refused('eve', c, '42501', 'without usage: ' || c) FROM unnest(ARRAY['SELECT diagsync.access(''U'')', 'SELECT count(*) FROM diagsync.directory', 'SELECT count(*) FROM diagsync_public.entity',
	'INSERT INTO diagsync_public.entity (diagram_id, id, doc) VALUES (''U'', ''x'', ''{}'')', 'SELECT diagsync.put(''U'', ''[]'')', 'SELECT * FROM diagsync_api.diagrams']) AS c;
SELECT is_empty($$ SELECT classid::regclass, objid FROM pg_shdepend WHERE refobjid = 'regress_eve'::regrole AND dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
	AND classid IN ('pg_proc'::regclass, 'pg_namespace'::regclass, 'pg_type'::regclass) AND deptype = 'a' AND objid NOT IN (SELECT oid FROM pg_proc WHERE pronamespace = 't'::regnamespace)
	AND objid <> 't'::regnamespace $$, 'no privilege is left');

SELECT * FROM finish();
ROLLBACK;
