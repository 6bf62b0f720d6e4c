-- What the pgTAP files about access share: users, and commands run as them.
-- Included after helpers.sql, in the transaction that is rolled back.
--
--   ann  owns the private diagram P, the public U and the local L (linked to P)
--   ben  writer of P       ada  admin of P       ray  reader of P
--   eve  a stranger, with a local diagram of their own, E
--   web  the role of JWT users, whose login is the trusted "auth"
--   ano  granted with anonymous => true
--
-- P, U and L have the entities "a" and "b".

CREATE ROLE regress_ann;
CREATE ROLE regress_ben;
CREATE ROLE regress_ada;
CREATE ROLE regress_ray;
CREATE ROLE regress_eve;
CREATE ROLE regress_web;
CREATE ROLE regress_ano;
CREATE ROLE regress_auth NOINHERIT;
GRANT regress_web, regress_ano, regress_ann TO regress_auth;
SELECT diagsync.grant_usage('regress_' || r) FROM unnest('{ann,ben,ada,ray,eve,web}'::text[]) AS r;
SELECT diagsync.grant_usage('regress_ano', anonymous => true);
GRANT USAGE ON SCHEMA t TO regress_ann, regress_ben, regress_ada, regress_ray, regress_eve, regress_web, regress_ano;
SET LOCAL diagsync.trusted_authenticators = 'regress_auth';
SET LOCAL diagsync.sync_rate_limit = 0;

-- Runs a command as a user and returns its first value as text, or the whole of
-- its error, "SQLSTATE message | detail | hint". A login makes it a session of
-- that role; claims and token are those of a request.
CREATE FUNCTION t.as(username text, command text, token text DEFAULT '', login text DEFAULT NULL, claims text DEFAULT '')
RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	result text;
	rows bigint;
	detail text;
	hint text;
BEGIN
	BEGIN
		PERFORM set_config('diagsync.token', token, true), set_config('request.jwt.claims', claims, true);
		PERFORM set_config('session_authorization', 'regress_' || coalesce(login, username), true);
		PERFORM set_config('role', 'regress_' || username, true);
		IF command ~* '^\s*(SELECT|TABLE|VALUES|EXPLAIN|EXECUTE|SHOW|FETCH)\M' OR command ~* '\mRETURNING\M' THEN
			EXECUTE command INTO result;
		ELSE
			EXECUTE command;
			GET DIAGNOSTICS rows = ROW_COUNT;
			result := rows || ' rows';
		END IF;
		SET LOCAL SESSION AUTHORIZATION DEFAULT;
		PERFORM set_config('diagsync.token', '', true), set_config('request.jwt.claims', '', true);
		RETURN result;
	EXCEPTION WHEN OTHERS THEN
		GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
		RETURN rtrim(concat_ws(' | ', sqlstate || ' ' || sqlerrm, nullif(detail, ''), nullif(hint, '')));
	END;
END $$;

-- All that there is, members, tokens and log included.
CREATE FUNCTION t.everything() RETURNS text LANGUAGE sql AS $$
	SELECT md5(concat(t.state(), (SELECT string_agg(m::text, ' ' ORDER BY m) FROM diagsync.member AS m),
		(SELECT string_agg(a::text, ' ' ORDER BY a) FROM diagsync.access_token AS a),
		(SELECT string_agg(s::text, ' ' ORDER BY s) FROM diagsync.sync_log AS s))) $$;

-- Whether a user's command fails with this SQLSTATE and changes nothing at all.
CREATE FUNCTION t.refused(username text, command text, errcode text, description text DEFAULT NULL, token text DEFAULT '')
RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	before text := t.everything();
	answer text := t.as(username, command, token);
BEGIN
	description := username || ': ' || coalesce(description, command);
	IF t.everything() IS DISTINCT FROM before THEN
		RETURN ok(false, description) || E'\n' || diag('it changed something; answer: ' || coalesce(answer, 'null'));
	END IF;
	RETURN alike(coalesce(answer, 'null'), CASE WHEN errcode LIKE '_____' THEN errcode || ' %' ELSE errcode END, description);
END $$;

SELECT t.as('ann', $$ SELECT diagsync.create_diagram('Private', 'local', 'L') $$);
SELECT t.as('ann', $$ SELECT diagsync.put('L', '[{"id": "a", "v": 1}, {"id": "b", "v": 1}]') $$);
SELECT t.as('ann', $$ SELECT diagsync.share('L', 'P', 'private') $$);
SELECT t.as('ann', $$ SELECT diagsync.create_diagram('Public', 'public', 'U') $$);
SELECT t.as('ann', $$ SELECT diagsync.put('U', '[{"id": "a", "v": 1}, {"id": "b", "v": 1}]') $$);
SELECT t.as('ann', format('SELECT diagsync.add_member(''P'', %L, %L)', 'role:regress_' || u, r))
  FROM (VALUES ('ben', 'writer'), ('ada', 'admin'), ('ray', 'reader')) AS m (u, r);
SELECT t.as('eve', $$ SELECT diagsync.create_diagram('Mine', 'local', 'E') $$);
