-- A role that is dropped, or renamed, and another person gets the name: they get
-- nothing that belonged to the first, however they reach diagsync.
BEGIN;
\ir ../../common/pgtap/helpers.sql
\ir ../../common/pgtap/users.sql
SELECT no_plan();

-- zoe has a diary, is a member of P, and has synced; it uses diagsync by way of a
-- group.
CREATE ROLE regress_staff;
SELECT diagsync.grant_usage('regress_staff');
GRANT USAGE ON SCHEMA t TO regress_staff;
CREATE ROLE regress_zoe IN ROLE regress_staff;
CREATE FUNCTION t.hire() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM t.as('zoe', 'SELECT diagsync.create_diagram(''Diary'', id => ''diary'')');
	PERFORM t.as('zoe', 'SELECT diagsync.put(''diary'', ''[{"id": "a"}]'')');
	PERFORM t.as('zoe', 'SELECT diagsync.share(''diary'', ''diary-q'', ''private'')');
	PERFORM t.as('ann', 'SELECT diagsync.add_member(''P'', ''role:regress_zoe'', ''writer'')');
END $$;
CREATE FUNCTION t.zoe_again() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	DROP ROLE regress_zoe;
	CREATE ROLE regress_zoe IN ROLE regress_staff;
END $$;
SELECT t.hire();
SELECT is(t.as('zoe', 'SELECT string_agg(id, '' '' ORDER BY id) FROM diagsync.directory'), 'P U diary diary-q', 'a role sees what it owns and what it is a member of');
SELECT is((SELECT role_oid FROM diagsync.known_role WHERE principal = 'role:regress_zoe'), 'regress_zoe'::regrole::oid::bigint, 'which role it is, is noted');
SELECT is_empty('SELECT * FROM diagsync.orphan', 'every owner and member is a role');

DROP ROLE regress_zoe;
SELECT results_eq('SELECT * FROM diagsync.orphan', $$ VALUES ('role:regress_zoe' COLLATE "C", false, 2::bigint, 1::bigint) $$, 'it goes, its diagrams are nobody''s');
CREATE ROLE regress_zoe IN ROLE regress_staff;
SELECT results_eq('SELECT * FROM diagsync.orphan', $$ VALUES ('role:regress_zoe' COLLATE "C", true, 2::bigint, 1::bigint) $$, 'another of its name comes');
CREATE FUNCTION t.zoe_is_refused(description text) RETURNS SETOF text LANGUAGE sql AS $$
	SELECT alike(t.as('zoe', c), '42501 "role:regress_zoe" is another role than the one that has diagrams under this name%', description || c) FROM unnest(ARRAY[
		'SELECT count(*) FROM diagsync_local.entity', 'SELECT count(*) FROM diagsync.directory', 'SELECT count(*) FROM diagsync.member', 'SELECT count(*) FROM diagsync.sync_log',
		'SELECT count(*) FROM diagsync.entity', 'SELECT diagsync.principal()', 'SELECT diagsync.access(''diary'')', 'SELECT diagsync.status_all()', 'SELECT diagsync.status(''diary'')',
		'SELECT diagsync.push(''diary'')', 'SELECT diagsync.put(''P'', ''[{"id": "z"}]'')', 'SELECT diagsync.drop_diagram(''diary'')', 'SELECT diagsync.create_diagram(''mine'')',
		'SELECT diagsync.clone(''P'')', 'SELECT diagsync.remove_member(''P'', ''role:regress_zoe'')', 'UPDATE diagsync.directory SET name = ''x''', 'DELETE FROM diagsync_local.entity',
		'INSERT INTO diagsync_public.entity (diagram_id, id, doc) VALUES (''U'', ''z'', ''{}'')', 'SELECT count(*) FROM diagsync_api.diagrams']) AS c $$;
SELECT t.zoe_is_refused('the new one: ');
SELECT alike(t.error($$ SELECT diagsync.grant_usage('regress_zoe') $$), '42501 %another role%', 'nor is it granted the use of diagsync');
SELECT alike(t.as('ann', 'SELECT diagsync.add_member(''P'', ''role:regress_zoe'', ''reader'')'), '42501 %another role%', 'or made a member');
SELECT alike(t.as('ann', 'SELECT diagsync.set_owner(''P'', ''role:regress_zoe'')'), '42501 %another role%', 'or an owner');
SELECT is(t.as('ann', 'SELECT diagsync.remove_member(''P'', ''role:regress_zoe'')'), '', 'an admin can end the membership');
SELECT t.zoe_is_refused('with diagrams left: ');

-- Who stands for the same person is confirmed; by an administrator only.
SELECT alike(t.as(who, 'SELECT diagsync.confirm_role(''regress_zoe'')'), '42501 permission denied%', 'not to be confirmed by ' || who) FROM unnest('{zoe,ann,web}'::text[]) AS who;
SAVEPOINT before;
SELECT diagsync.confirm_role('regress_zoe');
SELECT is(t.as('zoe', 'SELECT count(*) FROM diagsync_local.entity'), '1', 'confirmed, it has it all');
SELECT is_empty('SELECT * FROM diagsync.orphan', 'and nothing is nobody''s');
ROLLBACK TO before;

-- Given away, the name is free.
SELECT diagsync.set_owner(id, 'role:regress_eve') FROM diagsync.directory WHERE owner = 'role:regress_zoe';
SELECT is(t.as('zoe', 'SELECT string_agg(id, '' '' ORDER BY id) FROM diagsync.directory'), 'U', 'with nothing left, the new one begins with nothing');
SELECT is(t.as('zoe', 'SELECT diagsync.create_diagram(''Hers'', id => ''hers'')'), 'hers', 'and has diagrams of its own');
SELECT is((SELECT role_oid FROM diagsync.known_role WHERE principal = 'role:regress_zoe'), 'regress_zoe'::regrole::oid::bigint, 'it is noted then');

-- A role that is renamed does not take the diagrams with it, nor does the next of
-- the old name get them.
ALTER ROLE regress_zoe RENAME TO regress_zed;
SELECT is(t.as('zed', 'SELECT diagsync.create_diagram(''Z'', id => ''zeds'')'), 'zeds', 'renamed');
CREATE ROLE regress_zoe IN ROLE regress_staff;
SELECT t.zoe_is_refused('the next after a renamed one: ');

-- Who may do everything is not kept out.
ALTER ROLE regress_zoe BYPASSRLS;
SELECT is(t.as('zoe', 'SELECT count(*) FROM diagsync.directory WHERE id = ''hers'''), '1', 'a role with BYPASSRLS sees it all, as ever');
SELECT is(t.as('zoe', 'SELECT diagsync.create_diagram(''Z'', id => ''zoes'')'), 'zoes', 'and may make diagrams');

-- On another cluster oids mean nothing: the names are taken as they are, and noted
-- anew by prune(), or when something is given to them.
CREATE FUNCTION t.restored() RETURNS void LANGUAGE sql AS $$ UPDATE diagsync.known_role SET cluster = 1, role_oid = role_oid + 1 $$;
SELECT t.restored();
SELECT is(t.as('zed', 'SELECT count(*) FROM diagsync.directory WHERE id = ''zeds'''), '1', 'after a restore on another cluster the role of the name has it');
SELECT is_empty('SELECT * FROM diagsync.orphan', 'and is no orphan');
SELECT diagsync.prune();
SELECT is((SELECT role_oid FROM diagsync.known_role WHERE principal = 'role:regress_zed'), 'regress_zed'::regrole::oid::bigint, 'prune() notes who it is here');
SELECT t.restored();
DELETE FROM diagsync.known_role WHERE principal = 'role:regress_zed';
SELECT is(t.as('zed', 'SELECT diagsync.create_diagram(''Z'', id => ''zeds2'')'), 'zeds2', 'so does the next diagram');
SELECT is((SELECT role_oid FROM diagsync.known_role WHERE principal = 'role:regress_zed'), 'regress_zed'::regrole::oid::bigint, 'with what is noted');
SELECT diagsync.drop_diagram(id) FROM diagsync.directory WHERE owner = 'role:regress_zed';
SELECT diagsync.prune();
SELECT isnt_empty($$ SELECT FROM diagsync.known_role WHERE principal = 'role:regress_zed' $$, 'prune() forgets no role that there is');
DROP ROLE regress_zed;
SELECT diagsync.prune();
SELECT is_empty($$ SELECT FROM diagsync.known_role WHERE principal = 'role:regress_zed' $$, 'but one that is gone and has nothing');
CREATE ROLE regress_yan;
SELECT diagsync.grant_usage('regress_yan');
SELECT is((SELECT role_oid FROM diagsync.known_role WHERE principal = 'role:regress_yan'), 'regress_yan'::regrole::oid::bigint, 'a role that is granted the use of diagsync is noted before it has anything');
SELECT diagsync.revoke_usage('regress_yan');
DROP ROLE regress_yan;
CREATE ROLE regress_yan;
SELECT lives_ok($$ SELECT diagsync.grant_usage('regress_yan') $$, 'another of its name comes as any other, where it had nothing');
SELECT is((SELECT role_oid FROM diagsync.known_role WHERE principal = 'role:regress_yan'), 'regress_yan'::regrole::oid::bigint, '... and is noted');

-- Roles that there are not.
SELECT alike(t.as('ann', c), '42704 %"regress_nobody"%"P"% does not exist%', c) FROM unnest('{"SELECT diagsync.set_owner(''P'', ''role:regress_nobody'')","SELECT diagsync.add_member(''P'', ''role:regress_nobody'', ''reader'')"}'::text[]) AS c;
SELECT is(t.as('ann', 'SELECT diagsync.add_member(''P'', ''sub:nobody-yet'', ''reader'')'), '', 'a claim may come later');
SELECT alike(t.error('SELECT diagsync.confirm_role(''regress_nobody'')'), '42704 %', 'none to confirm');
SELECT alike(t.error('SELECT diagsync.confirm_role(NULL)'), '22004 %"role"%', 'nor null');

SELECT * FROM finish();
ROLLBACK;
