-- A lint of the catalog: what must hold for every object of the extension,
-- whatever is added. contract.sql says what the objects are.
BEGIN;
SET client_min_messages = warning;

-- What belongs to the extension. What exists only as a part of something else
-- (row types, arrays, indexes, triggers, ...) is not listed there.
CREATE TEMPORARY VIEW member AS
	SELECT classid, objid FROM pg_depend
	 WHERE deptype = 'e' AND refclassid = 'pg_extension'::regclass
	   AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'diagsync');
CREATE TEMPORARY VIEW function AS
	SELECT p.*, lanname FROM pg_proc AS p JOIN member ON classid = 'pg_proc'::regclass AND objid = p.oid
	  JOIN pg_language AS l ON l.oid = prolang;
CREATE TEMPORARY VIEW relation AS
	SELECT c.* FROM pg_class AS c JOIN member ON classid = 'pg_class'::regclass AND objid = c.oid;
CREATE TEMPORARY VIEW schema AS
	SELECT n.* FROM pg_namespace AS n JOIN member ON classid = 'pg_namespace'::regclass AND objid = n.oid;
CREATE TEMPORARY VIEW type AS
	SELECT t.* FROM pg_type AS t JOIN member ON classid = 'pg_type'::regclass AND objid = t.oid
	 WHERE typelem = 0 AND NOT EXISTS (SELECT FROM pg_class WHERE pg_class.oid = typrelid AND relkind <> 'c');

SELECT no_plan();

-- ---- There is something to look at ---------------------------------------------

SELECT cmp_ok((SELECT count(*) FROM function), '>=', 60::bigint, 'functions are looked at');
SELECT cmp_ok((SELECT count(*) FROM relation WHERE relkind = 'r'), '>=', 10::bigint, 'tables are looked at');
SELECT cmp_ok((SELECT count(*) FROM relation WHERE relkind = 'v'), '>=', 4::bigint, 'views are looked at');
SELECT cmp_ok((SELECT count(*) FROM type), '>=', 6::bigint, 'types are looked at');
SELECT set_eq('SELECT nspname::text FROM schema',
	'{diagsync,diagsync_api,diagsync_local,diagsync_private,diagsync_public}'::text[], 'the five schemas belong to the extension');

-- ---- Where things are ------------------------------------------------------------

SELECT is_empty($$ SELECT pg_describe_object(classid, objid, 0) FROM member, LATERAL pg_identify_object(classid, objid, 0) AS o
	WHERE o.schema NOT IN (SELECT nspname FROM schema) AND o.type <> 'schema' $$,
	'the extension puts nothing into the schemas of others');
SELECT set_eq($$ SELECT pg_describe_object(classid, objid, 0) FROM member
	WHERE classid NOT IN ('pg_proc'::regclass, 'pg_class'::regclass, 'pg_namespace'::regclass, 'pg_type'::regclass) $$,
	'{event trigger diagsync_guard_tables}'::text[],
	'it is made of schemas, functions, relations and types: no cast or operator reaches beyond its schemas, and one event trigger alone');
SELECT is((SELECT format('%s %s %s %s', evtevent, evttags, evtfoid::regproc, evtenabled) FROM pg_event_trigger WHERE evtname = 'diagsync_guard_tables'),
	'ddl_command_end {"CREATE TABLE","ALTER TABLE","CREATE FOREIGN TABLE","ALTER FOREIGN TABLE","CREATE SCHEMA"} diagsync.guard_tables O',
	'... that watches how tables are made and altered');
SELECT is_empty(format($$ SELECT pg_describe_object(%1$L::regclass, o.oid, 0) FROM %1$s AS o
	WHERE %2$I IN (SELECT oid FROM schema) AND NOT EXISTS (SELECT FROM member WHERE classid = %1$L::regclass AND objid = o.oid) %3$s $$,
	catalog, schema_of, but), 'everything in its schemas belongs to it: ' || catalog)
  FROM (VALUES ('pg_proc', 'pronamespace', ''), ('pg_operator', 'oprnamespace', ''), ('pg_collation', 'collnamespace', ''),
	('pg_class', 'relnamespace', $$AND relkind NOT IN ('i', 'I', 't', 'c')$$),
	('pg_type', 'typnamespace', $$AND typelem = 0 AND NOT EXISTS (SELECT FROM pg_class WHERE pg_class.oid = typrelid AND relkind <> 'c')$$),
	('pg_opclass', 'opcnamespace', ''), ('pg_ts_config', 'cfgnamespace', ''), ('pg_statistic_ext', 'stxnamespace', ''))
	AS c (catalog, schema_of, but);

-- ---- Functions -------------------------------------------------------------------

SELECT is_empty($$ SELECT oid::regprocedure FROM function WHERE lanname NOT IN ('c', 'sql')
	OR (lanname = 'sql' AND pronamespace <> 'diagsync_api'::regnamespace) $$,
	'everything is in C, but for the REST schema in SQL: no PL/pgSQL, no DO-it-yourself');
SELECT is_empty($$ SELECT oid::regprocedure FROM function WHERE prosecdef OR proleakproof $$, 'no function is SECURITY DEFINER or LEAKPROOF');
-- A body that was parsed at installation means what it meant then. One that is
-- parsed when it is called would need a path of its own.
SELECT is_empty($$ SELECT oid::regprocedure FROM function WHERE lanname = 'sql' AND prosqlbody IS NULL
	AND NOT EXISTS (SELECT FROM unnest(proconfig) AS setting WHERE setting LIKE 'search\_path=%') $$,
	'no function in SQL depends on the search path of its caller');
SELECT is_empty($$ SELECT oid::regprocedure FROM function WHERE lanname = 'c' AND probin <> '$libdir/diagsync' $$,
	'the functions in C are in one library');
SELECT is_empty($$ SELECT oid::regprocedure FROM function WHERE lanname = 'c' AND prosrc NOT LIKE 'diagsync\_%' $$,
	'whose symbols begin with its name');
SELECT is_empty($$ SELECT oid::regprocedure FROM function WHERE provolatile = 'v' AND proparallel = 's' $$,
	'no volatile function is PARALLEL SAFE');
SELECT is_empty($$ SELECT oid::regprocedure FROM function WHERE provolatile <> 'v' AND proparallel = 'u'
	AND oid <> 'diagsync.revision()'::regprocedure $$,
	'a function that only reads is not PARALLEL UNSAFE (which is what is not declared), but for the one that assigns a transaction id');
SELECT is_empty($$ SELECT oid::regprocedure FROM function WHERE prorettype = 'trigger'::regtype
	AND NOT EXISTS (SELECT FROM pg_trigger WHERE tgfoid = function.oid) $$, 'every trigger function is some trigger''s');
SELECT is_empty($$ SELECT proname, count(*) FROM function GROUP BY pronamespace, proname HAVING count(*) > 1 $$, 'no function is overloaded');

-- ---- Row-level security ------------------------------------------------------------

SELECT is_empty($$ SELECT oid::regclass FROM relation WHERE relkind IN ('r', 'p') AND NOT relrowsecurity $$, 'every table has row-level security');
SELECT is_empty($$ SELECT oid::regclass FROM relation WHERE relkind IN ('r', 'p')
	AND NOT EXISTS (SELECT FROM pg_policy WHERE polrelid = relation.oid AND polcmd = 'r') $$, 'and a policy of its own for reading');
SELECT is_empty($$ SELECT polrelid::regclass, polname FROM pg_policy WHERE polrelid IN (SELECT oid FROM relation)
	AND coalesce(pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid), 'true') = 'true' $$,
	'no policy lets everything through');
SELECT is_empty($$ SELECT oid::regclass FROM relation WHERE relkind = 'v'
	AND NOT coalesce('security_invoker=true' = ANY (reloptions), false) $$, 'every view is security_invoker');
SELECT is_empty($$ SELECT oid::regclass, relkind FROM relation WHERE relkind NOT IN ('r', 'v') $$,
	'there are tables and views only: row-level security knows no materialized view, sequence or foreign table');

-- ---- Comments ----------------------------------------------------------------------

SELECT is_empty($$ SELECT oid::regprocedure FROM function WHERE coalesce(obj_description(oid, 'pg_proc'), '') = '' $$, 'every function has a comment');
SELECT is_empty($$ SELECT oid::regclass FROM relation WHERE coalesce(obj_description(oid, 'pg_class'), '') = '' $$, 'every table and view');
SELECT is_empty($$ SELECT oid::regtype FROM type WHERE coalesce(obj_description(oid, 'pg_type'), '') = '' $$, 'every type');
SELECT is_empty($$ SELECT attrelid::regclass, attname FROM pg_attribute WHERE attnum > 0 AND NOT attisdropped
	AND (attrelid IN (SELECT oid FROM relation) OR attrelid IN (SELECT typrelid FROM type))
	AND coalesce(col_description(attrelid, attnum), '') = '' $$, 'every column of a table, view or type');
SELECT is_empty($$ SELECT nspname FROM schema WHERE coalesce(obj_description(oid, 'pg_namespace'), '') = '' $$, 'every schema');
SELECT isnt((SELECT obj_description(oid, 'pg_extension') FROM pg_extension WHERE extname = 'diagsync'), NULL, 'the extension');

-- ---- Nothing for PUBLIC --------------------------------------------------------------

SELECT is_empty($$ SELECT oid::regprocedure, privilege_type FROM function, aclexplode(coalesce(proacl, acldefault('f', proowner)))
	WHERE grantee = 0 $$, 'PUBLIC may execute no function');
SELECT is_empty($$ SELECT oid::regclass, privilege_type FROM relation, aclexplode(relacl) WHERE grantee = 0 $$, 'has no right on a table or view');
SELECT is_empty($$ SELECT attrelid::regclass, attname FROM pg_attribute, aclexplode(attacl)
	WHERE attrelid IN (SELECT oid FROM relation) AND grantee = 0 $$, 'nor on a column');
SELECT is_empty($$ SELECT nspname FROM schema, aclexplode(coalesce(nspacl, acldefault('n', nspowner))) WHERE grantee = 0 $$, 'nor on a schema');
SELECT is_empty($$ SELECT oid::regtype FROM type, aclexplode(coalesce(typacl, acldefault('T', typowner))) WHERE grantee = 0 $$,
	'nor on a type of its own (row types go with their tables, arrays with their elements)');
SELECT is_empty($$ SELECT pg_describe_object(classid, objid, objsubid), grantee::regrole, privilege_type FROM (
		SELECT 'pg_proc'::regclass AS classid, oid AS objid, 0 AS objsubid, proacl AS acl, proowner AS owner FROM function
		UNION ALL SELECT 'pg_class'::regclass, oid, 0, relacl, relowner FROM relation
		UNION ALL SELECT 'pg_namespace'::regclass, oid, 0, nspacl, nspowner FROM schema) AS o, aclexplode(acl)
	WHERE grantee NOT IN (0, owner) $$, 'nor is anything granted to any other role before diagsync.grant_usage()');

-- ---- What a dump carries -------------------------------------------------------------

SELECT set_eq($$ SELECT unnest(extconfig)::regclass::text FROM pg_extension WHERE extname = 'diagsync' $$,
	$$ SELECT oid::regclass::text FROM relation WHERE relkind = 'r' $$, 'a dump carries every table');
SELECT is((SELECT extrelocatable FROM pg_extension WHERE extname = 'diagsync'), false, 'the extension is not relocatable');

SELECT * FROM finish();
ROLLBACK;
