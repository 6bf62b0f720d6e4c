-- What PostgREST calls before each request: the diagram that a path names, decoded
-- from its header (docs/rest.md). Over HTTP, test/rest/routes shows the same.
BEGIN;
\ir ../../common/pgtap/helpers.sql
\ir ../../common/pgtap/users.sql
SELECT no_plan();

CREATE FUNCTION t.request(diagram text, storage text DEFAULT NULL) RETURNS void LANGUAGE sql AS $$
	SELECT set_config('request.headers', jsonb_strip_nulls(jsonb_build_object('x-diagsync-diagram', diagram, 'x-diagsync-storage', storage))::text, true), set_config('request.method', 'GET', true) $$;
CREATE FUNCTION t.requested(diagram text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM t.request(diagram);
	RETURN coalesce(diagsync.requested_diagram(), 'none');
END $$;

SELECT is(t.requested(encoded), decoded, 'decoded: ' || coalesce(encoded, 'no header')) FROM (VALUES
	(NULL, 'none'), ('', 'none'), ('L', 'L'), ('a%20b', 'a b'), ('%41%5a%5A', 'AZZ'), ('caf%C3%A9', 'café'), ('caf%c3%a9', 'café'), ('%2e%2e%2F', '../'), ('%25zz', '%zz'),
	('%', 'none'), ('%4', 'none'), ('%zz', 'none'), ('%4g', 'none'), ('%g4', 'none'), ('%@1', 'none'), ('a%00b', 'none'), ('%ff', 'none'), ('%c3', 'none'), ('%ED%A0%80', 'none'), ('%C0%AF', 'none')) AS x (encoded, decoded);

-- Names that begin as those of local diagrams do over HTTP are for these alone.
INSERT INTO diagsync.directory (id, name, storage_type, owner) VALUES ('local-L', 'x', 'local', 'role:regress_ann'), ('local-U', 'x', 'public', 'role:regress_ann');
CREATE FUNCTION t.check(username text, diagram text, storage text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM t.request(diagram, storage);
	RETURN t.as(username, 'SELECT diagsync.check_request()');
END $$;

SELECT is(t.check(username, diagram, storage), coalesce(answer, 'PT404 Not Found | diagram "' || named || '" does not exist'), username || ' asks for ' || coalesce(diagram, 'nothing') || ' as ' || coalesce(storage, 'nothing')) FROM (VALUES
	('ann', NULL, NULL, ''), ('ann', NULL, 'nonsense', ''), ('ann', 'L', 'local', ''), ('ann', 'P', 'private', ''), ('ann', 'U', 'public', ''), ('ray', 'P', 'private', ''), ('eve', 'U', 'public', ''),
	('eve', 'P', 'private', NULL), ('eve', 'L', 'local', NULL), ('ann', 'P', 'public', NULL), ('ann', 'L', 'private', NULL), ('ann', 'P', 'local', NULL), ('ann', 'nix', 'public', NULL),
	('ann', 'L', 'nonsense', NULL), ('ann', 'L', NULL, NULL), ('ann', '%zz', 'local', NULL), ('ann', '%00', 'public', NULL), ('ann', '', 'local', NULL), ('ann', '', NULL, NULL), ('ann', 'local-U', 'public', NULL), ('ann', 'local-L', 'local', '')) AS x (username, diagram, storage, answer),
	LATERAL (SELECT CASE WHEN diagram ~ '^%' THEN '' ELSE diagram END) AS y (named);

-- A setting that was taken back has no value, which is less than an empty one.
CREATE FUNCTION t.without(setting text, statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM set_config('request.method', 'PATCH', true), set_config('request.path', '/diagrams', true), set_config('response.headers', '[]', true),
		set_config('request.headers', '{"x-diagsync-named": "yes", "x-diagsync-diagram": "U", "x-diagsync-storage": "public"}', true);
	EXECUTE format('RESET %s', setting);
	RETURN t.as('ann', statement);
END $$;
SELECT matches(t.without(setting, statement), '^(|U|\d+ rows|PT400 .*)$', format('without %s: %s', setting, statement)) FROM
	unnest(ARRAY['request.method', 'request.path', 'request.headers', 'response.headers']) AS setting,
	unnest(ARRAY['SELECT diagsync.check_request()', 'SELECT coalesce(diagsync.requested_diagram(), '''')',
		'UPDATE diagsync.directory SET description = ''x'' WHERE id = ''U''', 'UPDATE diagsync_public.entity SET doc = ''{"n": 1}'' WHERE diagram_id = ''U''',
		'INSERT INTO diagsync_public.entity (diagram_id, id, doc) VALUES (''U'', clock_timestamp()::text, ''{}'')',
		'DELETE FROM diagsync_public.entity WHERE diagram_id = ''U'' AND id = ''none''']) AS statement;

SELECT * FROM finish();
ROLLBACK;
