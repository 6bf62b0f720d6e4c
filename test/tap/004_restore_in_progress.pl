# Transactions that were in progress when a link looked, and committed later:
# dumped before and after, restored beside and on a new cluster.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Diagsync;

my $node = new_node('progress');
my $new  = new_node('progress_new');
my $dir  = PostgreSQL::Test::Utils::tempdir;

new_database($node, 'd');
$node->safe_psql('d', "SELECT diagsync.create_diagram('a', 'local', 'a'); SELECT diagsync.put('a', " . entities(20) . ");"
	  . " SELECT diagsync.share('a', 'a-p'); SELECT diagsync.clone('a-p', 'b')");

# Writers in the shared copy, in progress while both links sync; ids between them
# are used up by others.
my @writers = map { background($node, 'd') } 1 .. 4;
$writers[0]->query_safe('BEGIN; ' . upd('a-p', 'e1', 'late'));
$node->safe_psql('d', upd('a-p', 'e10', 'early'));
$writers[1]->query_safe('BEGIN; ' . del('a-p', 'e2'));
$node->safe_psql('d', 'SELECT pg_current_xact_id()') foreach 1 .. 5;
$writers[2]->query_safe('BEGIN; ' . ins('a-p', 'new', 'late'));
$writers[3]->query_safe('BEGIN; SAVEPOINT s; ' . upd('a-p', 'e3', 'late in a savepoint') . 'RELEASE s;');
$node->safe_psql('d', 'SELECT pg_current_xact_id()');
is_sql($node, 'd', "SELECT documents_updated FROM diagsync.pull('a')", '1', 'a pull sees what is committed');
$node->safe_psql('d', upd('b', 'e11', 'L'));
is_sql($node, 'd', "SELECT documents_updated FROM diagsync.pull('b'); SELECT documents_updated FROM diagsync.push('b')", "1\n1",
	'another link pulls and pushes');
is_sql($node, 'd', "SELECT bool_and(cardinality(ARRAY(SELECT pg_snapshot_xip(seen))) >= 4) FROM diagsync.directory WHERE seen IS NOT NULL",
	't', 'they are in progress in what both links have seen');

sub dump_now
{
	my $name = shift;
	command_ok([ 'pg_dump', '-d', $node->connstr('d'), '--format=custom', '-f', "$dir/$name" ], "dumped $name");
	return picture($node, 'd');
}

sub restored
{
	my ($where, $name, $db, $expected) = @_;
	$where->safe_psql('postgres', "CREATE DATABASE $db");
	command_ok([ 'pg_restore', '--exit-on-error', '-j4', '-d', $where->connstr($db), "$dir/$name" ], "restored into $db");
	same_picture(picture($where, $db), $expected, "$db, restored from $name");
	return;
}

# Dumped, and restored beside, while they are in progress.
my $during = dump_now('during');
is_sql($node, 'd', "SELECT state FROM diagsync.status('b')", 'in_sync', 'nothing of theirs is there yet');
restored($node, 'during', 'during', $during);

$writers[$_]->query_safe('COMMIT') foreach (2, 0);
my $half = dump_now('half');
is_sql($node, 'd', "SELECT entity_id, public_change FROM diagsync.changes('b') ORDER BY 1", "e1|update\nnew|insert",
	'those that committed are seen, by link b');
is_sql($node, 'd', "SELECT entity_id, public_change FROM diagsync.changes('a') ORDER BY 1", "e1|update\ne11|update\nnew|insert", '... and by link a');
restored($_, 'half', 'half', $half) foreach ($node, $new);
restored($new, 'during', 'during', $during);

$writers[$_]->query_safe('COMMIT') foreach (1, 3);
my $after = dump_now('after');
is_sql($node, 'd', "SELECT entity_id, public_change FROM diagsync.changes('b') ORDER BY 1",
	"e1|update\ne2|delete\ne3|update\nnew|insert", 'all of them are seen');
restored($_, 'after', 'after', $after) foreach ($node, $new);

# What was restored is not touched by what the original goes through, and the
# other way round.
same_picture(picture($node, 'during'), $during, 'restored while they were in progress, after they committed');
same_picture(picture($node, 'half'), $half, 'restored between, after the rest committed');

# From the same state, syncs go on alike.
my $expected = carry_on($node, 'd');
same_picture(carry_on($_, 'after'), $expected, 'restored, then synced') foreach ($node, $new);
foreach my $db (qw(during half))
{
	same_picture(carry_on($node, $db), carry_on($new, $db), "$db, restored beside and on a new cluster, then synced");
}

$_->quit  foreach @writers;
$_->stop foreach ($node, $new);
done_testing();
