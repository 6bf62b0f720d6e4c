-- What CREATE EXTENSION leaves to whom does not depend on default privileges, nor
-- on the schemas that there are.
BEGIN;
SET client_min_messages = error;
SET LOCAL search_path = public;
SELECT no_plan();
CREATE ROLE regress_other;

-- Every privilege on everything of the extension.
CREATE TEMPORARY VIEW acl AS
	SELECT pg_describe_object(d.classid, d.objid, 0) AS object,
		   coalesce(p.proacl, c.relacl, n.nspacl, t.typacl)::text AS acl
	  FROM pg_depend AS d
	  LEFT JOIN pg_proc AS p ON d.classid = 'pg_proc'::regclass AND p.oid = d.objid
	  LEFT JOIN pg_class AS c ON d.classid = 'pg_class'::regclass AND c.oid = d.objid
	  LEFT JOIN pg_namespace AS n ON d.classid = 'pg_namespace'::regclass AND n.oid = d.objid
	  LEFT JOIN pg_type AS t ON d.classid = 'pg_type'::regclass AND t.oid = d.objid
	 WHERE d.deptype = 'e' AND d.refclassid = 'pg_extension'::regclass
	   AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'diagsync');

DROP EXTENSION diagsync;
CREATE EXTENSION diagsync;
CREATE TEMPORARY TABLE documented AS SELECT * FROM acl;
SELECT cmp_ok((SELECT count(*) FROM documented), '>', 90::bigint, 'privileges are looked at');
SELECT is_empty($$ SELECT * FROM documented WHERE acl NOT IN (format('{%1$s=X/%1$s}', current_user), format('{%1$s=U/%1$s}', current_user)) $$,
	'nobody but the owner has any');
SELECT is_empty($$ SELECT pg_describe_object(classoid, objoid, objsubid) FROM pg_init_privs
	WHERE privtype = 'e' AND (classoid, objoid) IN (SELECT classid, objid FROM pg_depend WHERE refclassid = 'pg_extension'::regclass
		AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'diagsync')) $$,
	'no object names its first owner among the initial privileges, which dumps would go on naming');

-- With default privileges of all kinds.
CREATE FUNCTION pg_temp.made_with(VARIADIC defaults text[]) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	differs text;
BEGIN
	BEGIN
		DROP EXTENSION diagsync;
		FOR i IN 1 .. cardinality(defaults) LOOP
			EXECUTE 'ALTER DEFAULT PRIVILEGES ' || defaults[i];
		END LOOP;
		CREATE EXTENSION diagsync;
		SELECT string_agg(format('%s: %s, not %s', object, a.acl, d.acl), E'\n') INTO differs
		  FROM acl AS a FULL JOIN documented AS d USING (object) WHERE a.acl IS DISTINCT FROM d.acl;
		SELECT concat(differs, E'\n' || string_agg(pg_describe_object(classid, objid, objsubid), E'\n')) INTO differs FROM pg_shdepend
		 WHERE refclassid = 'pg_authid'::regclass AND refobjid = 'regress_other'::regrole AND deptype = 'a' AND classid <> 'pg_default_acl'::regclass;
		RAISE EXCEPTION USING ERRCODE = 'ZZ000';
	EXCEPTION WHEN SQLSTATE 'ZZ000' THEN
		NULL;
	END;
	RETURN NEXT is(differs, '', 'made with default privileges: ' || array_to_string(defaults, ', '));
END $$;
SELECT pg_temp.made_with(format('GRANT ALL ON %s TO %s', what, whom))
  FROM unnest('{TABLES,FUNCTIONS,TYPES,SCHEMAS,SEQUENCES}'::text[]) AS what, unnest('{PUBLIC,regress_other,"regress_other WITH GRANT OPTION"}'::text[]) AS whom;
SELECT pg_temp.made_with(format('REVOKE ALL ON %s FROM %s', what, whom))
  FROM unnest('{TABLES,FUNCTIONS,TYPES,SCHEMAS}'::text[]) AS what, unnest(ARRAY['PUBLIC', quote_ident(current_user)]) AS whom;
SELECT pg_temp.made_with('GRANT ALL ON TABLES TO PUBLIC, regress_other', 'GRANT ALL ON FUNCTIONS TO regress_other', format('REVOKE ALL ON TYPES FROM %I', current_user),
	'GRANT USAGE ON TYPES TO regress_other', 'GRANT ALL ON SCHEMAS TO PUBLIC', 'IN SCHEMA public GRANT ALL ON TABLES TO PUBLIC', 'IN SCHEMA public GRANT ALL ON FUNCTIONS TO regress_other');
SELECT throws_like('SELECT diagsync.set_initial_privileges()', '%script of the extension only', 'the function that sees to it is for nothing else');

-- It belongs to no schema that anybody may drop.
SELECT is((SELECT extnamespace::regnamespace::text FROM pg_extension WHERE extname = 'diagsync'), 'pg_catalog', 'the extension is in pg_catalog');
SELECT is_empty($$ SELECT classid::regclass, objid FROM pg_depend WHERE refclassid = 'pg_namespace'::regclass AND classid = 'pg_extension'::regclass
	AND objid = (SELECT oid FROM pg_extension WHERE extname = 'diagsync') $$, 'and depends on no schema');
SELECT throws_like('DROP EXTENSION diagsync; CREATE EXTENSION diagsync SCHEMA public', '%must be installed in schema "pg_catalog"%', 'another schema is refused');

-- TRUNCATE is refused on every table, to everybody.
SELECT throws_ok(format('TRUNCATE %s', c.oid::regclass), '0A000', format('table "%s" cannot be truncated', c.oid::regclass), format('TRUNCATE %s', c.oid::regclass))
  FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = relnamespace WHERE nspname LIKE 'diagsync%' AND relkind = 'r';

-- Every table has what a publication needs for updates and deletions.
SELECT is_empty($$ SELECT c.oid::regclass FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = relnamespace WHERE nspname LIKE 'diagsync%' AND relkind = 'r'
	AND relreplident <> 'f' AND NOT EXISTS (SELECT FROM pg_index WHERE indrelid = c.oid AND indisprimary) $$, 'every table has a key or a replica identity');

SELECT * FROM finish();
ROLLBACK;
