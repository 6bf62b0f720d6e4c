-- Every cell of what counts as a change and as a conflict, with every
-- direction and rule, all in one transaction, with a private shared copy. See
-- include/cells.sql for the table of cases.
BEGIN;
\ir ../../common/pgtap/helpers.sql
\ir ../../common/pgtap/cells.sql

CALL t.run_cells('private', false);
CALL t.run_all_at_once('private', false);

SELECT plan(1 + (SELECT count(*)::int FROM t.outcome));
SELECT cmp_ok(count(*), '>=', 55::bigint, 'there are cases for every cell') FROM t.cell;
SELECT is(have, want, test) FROM t.outcome ORDER BY n;
SELECT * FROM finish();
ROLLBACK;
