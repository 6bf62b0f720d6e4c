-- Every cell of what counts as a change and as a conflict, with every
-- direction and rule, each write and call in a transaction of its own, with a
-- public shared copy. See include/cells.sql for the table of cases.
\ir ../../common/pgtap/helpers.sql
\ir ../../common/pgtap/cells.sql

CALL t.run_cells('public', true);
CALL t.run_all_at_once('public', true);

SELECT plan(1 + (SELECT count(*)::int FROM t.outcome));
SELECT cmp_ok(count(*), '>=', 55::bigint, 'there are cases for every cell') FROM t.cell;
SELECT is(have, want, test) FROM t.outcome ORDER BY n;
SELECT * FROM finish();
