# CREATE, DROP and CREATE EXTENSION again; what it leaves; and what its tables
# are made of, which pg_dump and pg_upgrade must be able to carry.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Diagsync;

my $node = new_node('extension');
my $objects = "SELECT classid::regclass, count(*) FROM pg_depend"
  . " WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e'"
  . " AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'diagsync') GROUP BY 1 ORDER BY 1";
my $all = "SELECT (SELECT count(*) FROM pg_class), (SELECT count(*) FROM pg_proc), (SELECT count(*) FROM pg_type),"
  . " (SELECT count(*) FROM pg_namespace), (SELECT count(*) FROM pg_trigger), (SELECT count(*) FROM pg_depend)";

new_database($node, 'd');
my $made = $node->safe_psql('d', $objects);
diagrams($node, 'd');

# ---- Drop and create again

my $empty = $node->safe_psql('postgres', $all);
$node->safe_psql('d', 'DROP EXTENSION diagsync');
is_sql($node, 'd', $all, $empty, 'DROP EXTENSION leaves nothing behind');
is_sql($node, 'd', "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'diagsync%'", '0', '... no schema either');

# In the session that used it, too.
my $session = background($node, 'd');
$session->query_safe('CREATE EXTENSION diagsync');
is_sql($node, 'd', $objects, $made, 'CREATE EXTENSION makes the same objects again');
for my $round (1, 2)
{
	is( $session->query_safe(
			"SELECT diagsync.create_diagram('a', 'local', 'a');"
			  . " SELECT diagsync.put('a', '[{\"id\": \"e\"}]'); SELECT diagsync.share('a', 'a-p');"
			  . " UPDATE diagsync_local.entity SET doc = '{\"v\": 1}';"
			  . " SELECT documents_updated FROM diagsync.push('a'); SELECT state FROM diagsync.status('a')"),
		"a\n1\na-p\n1\nin_sync", "the session that uses it, round $round");
	$session->query_safe('DROP EXTENSION diagsync; CREATE EXTENSION diagsync;') if $round == 1;
}
$session->quit;

is_sql($node, 'd', 'SELECT count(*) FROM diagsync.status_all()', '1', 'another session, after that');

# Others' objects that depend on it keep it from being dropped, with CASCADE
# not.
$node->safe_psql('d', 'CREATE VIEW mine AS SELECT id FROM diagsync.directory');
my ($status, $out, $err) = $node->psql('d', 'DROP EXTENSION diagsync');
isnt($status, 0, 'a view of somebody else keeps the extension');
$node->safe_psql('d', 'DROP EXTENSION diagsync CASCADE');
is_sql($node, 'd', $all, $empty, '... until DROP EXTENSION CASCADE');
$node->safe_psql('d', 'BEGIN; CREATE EXTENSION diagsync; ROLLBACK; CREATE EXTENSION diagsync; BEGIN; DROP EXTENSION diagsync; ROLLBACK;');
is_sql($node, 'd', $objects, $made, 'creating and dropping can be rolled back');

# ---- What is stored

my $columns = "FROM pg_attribute a JOIN pg_class c ON c.oid = attrelid JOIN pg_namespace n ON n.oid = relnamespace"
  . " JOIN pg_type t ON t.oid = atttypid WHERE nspname LIKE 'diagsync%' AND relkind IN ('r', 'p', 'm') AND attnum > 0";

# What means something else on another cluster, or what pg_upgrade refuses.
is_sql($node, 'd',
	"SELECT relname, attname, t.typname $columns AND (t.typname LIKE 'reg%' OR t.typname LIKE '\\_reg%'"
	  . " OR t.typname IN ('oid', 'xid', 'cid', 'tid', 'aclitem', 'unknown', 'sql_identifier', 'pg_node_tree', 'name', 'internal')"
	  . " OR t.typtype <> 'b' OR t.typnamespace <> 'pg_catalog'::regnamespace)",
	'', 'tables hold plain types only');
is_sql($node, 'd',
	"SELECT relname, attname $columns AND attcollation <> 0 AND attname IN ('id', 'diagram_id', 'public_copy_id')"
	  . " AND attcollation <> '\"C\"'::regcollation",
	'', 'keys are collated "C", whatever the collation library does');
is_sql($node, 'd',
	"SELECT c.oid::regclass FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace, pg_extension e"
	  . " WHERE nspname LIKE 'diagsync%' AND relkind IN ('r', 'p', 'S') AND extname = 'diagsync'"
	  . " AND NOT c.oid = ANY (extconfig) AND (relkind <> 'S' OR EXISTS (SELECT FROM pg_depend"
	  . " WHERE objid = c.oid AND deptype = 'e'))",
	'', 'a dump carries every table');
is_sql($node, 'd',
	"SELECT c.oid::regclass FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace"
	  . " WHERE nspname LIKE 'diagsync%' AND relpersistence <> 'p'",
	'', 'no table is unlogged');
is_sql($node, 'd',
	"SELECT DISTINCT lanname FROM pg_proc p JOIN pg_language l ON l.oid = prolang JOIN pg_namespace n ON n.oid = pronamespace"
	  . " WHERE nspname LIKE 'diagsync%' AND lanname NOT IN ('c', 'sql')",
	'', 'functions are in C, or in SQL');

# ---- Whom it trusts

$node->safe_psql('d', 'CREATE ROLE anybody');
is_sql($node, 'd', "SELECT nspname FROM pg_namespace WHERE nspname LIKE 'diagsync%' AND has_schema_privilege('anybody', oid, 'USAGE, CREATE')",
	'', 'nobody is granted a schema');
is_sql($node, 'd',
	"SELECT p.oid::regprocedure FROM pg_proc p JOIN pg_namespace n ON n.oid = pronamespace"
	  . " WHERE nspname LIKE 'diagsync%' AND has_function_privilege('anybody', p.oid, 'EXECUTE')",
	'', '... or a function');
is_sql($node, 'd',
	"SELECT c.oid::regclass FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace"
	  . " WHERE nspname LIKE 'diagsync%' AND relkind IN ('r', 'v')"
	  . " AND has_table_privilege('anybody', c.oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE, TRIGGER')",
	'', '... or a table');

$node->stop;
done_testing();
