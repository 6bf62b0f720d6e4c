-- No text that a user gives is longer than its limit (docs/operations.md); what is
-- as long as that works, in the widest characters.
BEGIN;
\ir ../../common/pgtap/helpers.sql
\ir ../../common/pgtap/users.sql
SELECT no_plan();

CREATE FUNCTION t.long(n int) RETURNS text LANGUAGE sql AS $$ SELECT repeat('😀', n) $$;

-- What is too long is refused, in few words.
CREATE FUNCTION t.too_long(command text, errcode text, says text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	error text := t.error(command);
BEGIN
	RETURN CASE WHEN length(error) > 400 THEN ok(false, 'the error for ' || command || ' is long: ' || left(error, 200))
		ELSE alike(error, errcode || ' %' || says || '%', command) END;
END $$;

SELECT t.too_long(c, '22023', says) FROM (VALUES
	('SELECT diagsync.create_diagram(''n'', id => t.long(256))', '255'),
	('SELECT diagsync.create_diagram(t.long(1001))', 'name'),
	('SELECT diagsync.create_diagram(t.long(7000000))', 'name'),
	('SELECT diagsync.create_diagram(''n'', description => t.long(10001))', 'description'),
	('SELECT diagsync.create_diagram(''n'', t.long(256))', 'storage_type'),
	('SELECT diagsync.share(''L'', t.long(256))', 'linked'),
	('SELECT diagsync.clone(''U'', t.long(256))', '255'),
	('SELECT diagsync.clone(''U'', name => t.long(1001))', 'name'),
	('SELECT diagsync.set_storage_type(''U'', t.long(300))', 'storage_type'),
	('SELECT diagsync.push(''L'', t.long(300))', 'public'),
	('SELECT diagsync.push(''L'', on_conflict => t.long(300))', 'on_conflict'),
	('SELECT diagsync.pull(''L'', expected_plan => t.long(300))', 'expected_plan'),
	('SELECT diagsync.resolve(''L'', t.long(401), ''local'')', 'entity_id'),
	('SELECT diagsync.resolve(''L'', ''a'', t.long(300))', 'resolution'),
	('SELECT diagsync.resolve(''L'', ''a'', ''local'', expected => t.long(300))', 'expected'),
	('SELECT diagsync.resolve_all(''L'', t.long(300))', 'resolution'),
	('SELECT diagsync.resolve_all(''L'', ''local'', kinds => ARRAY[t.long(300)])', 'kinds'),
	('SELECT diagsync.resolve_all(''L'', ''local'', paths => ARRAY[''/'' || t.long(10000)])', 'paths'),
	('SELECT diagsync.resolve_all(''L'', ''local'', entities => ARRAY[t.long(401)])', 'entities'),
	('SELECT diagsync.link(''L'', t.long(300))', 'public'),
	('SELECT diagsync.add_member(''P'', ''sub:'' || t.long(256), ''reader'')', 'principal'),
	('SELECT diagsync.add_member(''P'', ''sub:x'', t.long(300))', 'role'),
	('SELECT diagsync.remove_member(''P'', ''sub:'' || t.long(300))', 'principal'),
	('SELECT diagsync.set_owner(''P'', ''sub:'' || t.long(300))', 'principal'),
	('SELECT diagsync.create_token(''P'', t.long(300))', 'role'),
	('SELECT diagsync.create_token(''P'', label => t.long(256))', 'label'),
	('SELECT diagsync.grant_usage(t.long(300))', 'role'),
	('SELECT diagsync.confirm_role(t.long(300))', 'role'),
	('SELECT diagsync.put(''L'', jsonb_build_array(jsonb_build_object(''id'', t.long(401))))', '400')) AS v (c, says)
 WHERE says <> 'linked';
SELECT t.too_long(format('SELECT diagsync.%s(t.long(300))', f), '22023', 'too long') FROM unnest('{drop_diagram,unlink,status,changes,conflicts,refresh,share,clone,push,pull,access,revoke_token}'::text[]) AS f;
SELECT t.too_long($$ SELECT diagsync.set_merge_policy('L', jsonb_build_object('granularity', 'property', 'ignore', (SELECT jsonb_agg('/p' || n) FROM generate_series(1, 20000) AS n))) $$, '54000', 'merge policy for diagram "L"');
SELECT isnt(diagsync.set_merge_policy('L', jsonb_build_object('ignore', (SELECT jsonb_agg('/p' || n) FROM generate_series(1, 2000) AS n))), NULL, 'a merge policy of 2,000 pointers');

-- In plain SQL.
SELECT t.too_long(c, '23514', says) FROM (VALUES
	('UPDATE diagsync.directory SET name = t.long(1001) WHERE id = ''L''', 'directory_name_length'),
	('UPDATE diagsync.directory SET description = t.long(10001) WHERE id = ''L''', 'directory_description_length'),
	('INSERT INTO diagsync.directory (id, name) VALUES (t.long(256), ''n'')', 'directory_id_length'),
	('INSERT INTO diagsync.directory (id, name, owner) VALUES (''x'', ''n'', ''sub:'' || t.long(257))', 'directory_owner_length'),
	('INSERT INTO diagsync.member (diagram_id, principal, role) VALUES (''P'', ''sub:'' || t.long(257), ''reader'')', 'member_principal_length'),
	('UPDATE diagsync.access_token SET label = t.long(256)', 'access_token_label_length'),
	('INSERT INTO diagsync_public.entity (diagram_id, id, doc) VALUES (''U'', t.long(401), ''{}'')', 'entity_id_length')) AS v (c, says)
 WHERE c NOT LIKE 'UPDATE diagsync.access_token%' OR diagsync.create_token('P') IS NOT NULL;
SELECT alike(t.as('ann', $$ INSERT INTO diagsync_public.entity (diagram_id, id, doc) VALUES (repeat('x', 100000), 'a', '{}') $$), '42704 a diagram with an id of 100000 characters does not exist', 'an entity of a diagram with such an id');

-- Settings.
SELECT t.too_long($$ SELECT set_config('diagsync.token', repeat('x', 256), true) $$, '22023', 'diagsync.token');
SELECT alike(t.error($$ SELECT set_config('diagsync.trusted_authenticators', repeat('x', 10001), true) $$), '22023 %diagsync.trusted_authenticators%', 'a list of roles that is too long');
SELECT is(set_config('diagsync.token', repeat('x', 255), true), repeat('x', 255), 'a token of 255 bytes may be presented');
SELECT set_config('diagsync.token', '', true);

-- A claim.
SELECT alike(t.as('web', 'SELECT diagsync.principal()', login => 'auth', claims => json_build_object('sub', t.long(n))::text), '22023 %too long%', 'a claim "sub" of so many characters: ' || n)
  FROM unnest('{256,3000,1000000}'::int[]) AS n;

-- As long as that, everywhere at once: nothing fails in an index.
CREATE FUNCTION t.web(command text) RETURNS text LANGUAGE sql AS $$
	SELECT t.as('web', command, login => 'auth', claims => json_build_object('sub', t.long(255))::text) $$;
SELECT is(t.web(c), want, c) FROM (VALUES
	(1, 'SELECT diagsync.create_diagram(t.long(1000), ''local'', t.long(255), t.long(10000))', t.long(255)),
	(2, 'SELECT diagsync.put(t.long(255), jsonb_build_array(jsonb_build_object(''id'', t.long(400))))', '1'),
	(3, 'SELECT diagsync.share(t.long(255), t.long(254) || ''x'', ''private'')', t.long(254) || 'x'),
	(4, 'SELECT diagsync.remove(t.long(255), ARRAY[t.long(400)])', '1'),
	(5, 'SELECT (diagsync.push(t.long(255))).deleted', '1'),
	(6, 'SELECT diagsync.add_member(t.long(254) || ''x'', ''sub:'' || t.long(254) || ''y'', ''admin'')', ''),
	(7, 'SELECT diagsync.create_token(t.long(254) || ''x'', label => t.long(255)) IS NOT NULL', 'true'),
	(8, 'SELECT (diagsync.status(t.long(255))).state', 'in_sync'),
	(9, 'SELECT diagsync.set_owner(t.long(254) || ''x'', ''sub:'' || t.long(254) || ''y'')', '')) AS v (n, c, want) ORDER BY n;
SELECT is((SELECT max(length(principal)) FROM diagsync.sync_log), 259, 'the log has the whole principal');

-- Names that mean another place in a URL.
SELECT t.refuses(c, '22023', '"' || id || '"') FROM unnest('{.,..}'::text[]) AS id,
	LATERAL unnest(ARRAY[format('SELECT diagsync.create_diagram(''n'', id => %L)', id), format('SELECT diagsync.create_diagram(''n'', ''public'', %L)', id),
		format('SELECT diagsync.share(''E'', %L)', id), format('SELECT diagsync.clone(''U'', %L)', id)]) AS c;
SELECT is(diagsync.create_diagram('n', id => id), id, 'but not ' || id) FROM unnest('{...,.a,a.,a..b,%2e}'::text[]) AS id;
-- A dump may bring one; it is used as any other, but for its address.
INSERT INTO diagsync.directory (id, name, storage_type) VALUES ('..', 'from a dump', 'local');
SELECT is(diagsync.put('..', '[{"id": "a"}]'), 1, 'one that a dump brought works');

SELECT * FROM finish();
ROLLBACK;
