-- What the extension stores: tables with their columns, constraints, indexes
-- and policies, and types, as the catalogs have them. (The functions are in
-- test/pgtap/contract.sql.)
\pset null '-'
CREATE TEMPORARY VIEW extension_table AS
	SELECT c.oid, c.oid::regclass::text AS name, relkind FROM pg_class AS c
	  JOIN pg_depend ON classid = 'pg_class'::regclass AND objid = c.oid AND deptype = 'e'
	 WHERE refobjid = (SELECT oid FROM pg_extension WHERE extname = 'diagsync') AND relkind IN ('r', 'v');

SELECT name, CASE relkind WHEN 'r' THEN 'table' ELSE 'view' END AS kind FROM extension_table ORDER BY name COLLATE "C";
SELECT name AS "table", attname AS "column", format_type(atttypid, atttypmod) AS type,
	CASE WHEN attcollation NOT IN (0, 100) THEN attcollation::regcollation END AS collation,
	CASE WHEN attnotnull THEN 'not null' END AS nullable, pg_get_expr(adbin, adrelid) AS "default"
  FROM extension_table JOIN pg_attribute ON attrelid = oid AND attnum > 0 AND NOT attisdropped
  LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
 WHERE relkind = 'r' ORDER BY name COLLATE "C", attnum;
SELECT name AS "table", conname AS "constraint", pg_get_constraintdef(c.oid) AS definition
  FROM extension_table AS t JOIN pg_constraint AS c ON conrelid = t.oid
 WHERE contype IN ('p', 'u', 'c', 'f') ORDER BY name COLLATE "C", conname COLLATE "C";
SELECT pg_get_indexdef(indexrelid) AS index FROM extension_table JOIN pg_index ON indrelid = oid
 ORDER BY name COLLATE "C", indexrelid::regclass::text COLLATE "C";
SELECT name AS "table", polname AS policy,
	CASE polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE' END AS command,
	pg_get_expr(polqual, polrelid) AS using, pg_get_expr(polwithcheck, polrelid) AS "with check"
  FROM extension_table AS t JOIN pg_policy ON polrelid = t.oid ORDER BY name COLLATE "C", polname;
SELECT name AS "table without row-level security" FROM extension_table JOIN pg_class USING (oid)
 WHERE pg_class.relkind = 'r' AND NOT relrowsecurity;
SELECT n.nspname, typname, string_agg(attname || ' ' || format_type(atttypid, atttypmod), E',\n' ORDER BY attnum) AS columns
  FROM pg_type AS y JOIN pg_namespace AS n ON n.oid = typnamespace JOIN pg_class AS c ON c.oid = typrelid AND c.relkind = 'c'
  JOIN pg_attribute ON attrelid = c.oid AND attnum > 0
 WHERE n.nspname = 'diagsync' GROUP BY 1, 2 ORDER BY 1, 2;
