# A hot standby answers as the primary does, refuses to sync, and takes over
# with nothing lost.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Diagsync;

my $primary = new_node('primary', streaming => 1);
$primary->backup('start');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'start', has_streaming => 1);
$standby->start;

new_database($primary, 'd');
diagrams($primary, 'd');
# A writer in progress in what a link has seen, who commits later, and one who
# does not.
my @writers = map { background($primary, 'd') } 1 .. 2;
$writers[0]->query_safe('BEGIN; ' . upd('in-sync-p', 'e1', 'late'));
$writers[1]->query_safe('BEGIN; ' . upd('in-sync-p', 'e9', 'never'));
$primary->safe_psql('d', 'SELECT pg_current_xact_id()');
$primary->safe_psql('d', "SELECT diagsync.pull('in-sync');" . upd('in-sync', 'e5', 'L'));
$primary->wait_for_catchup($standby);
same_picture(picture($standby, 'd'), picture($primary, 'd'), 'the standby');

$writers[0]->query_safe('COMMIT');
$primary->safe_psql('d', "SELECT diagsync.prune()");
$primary->wait_for_catchup($standby);
my $before = picture($primary, 'd');
same_picture(picture($standby, 'd'), $before, 'the standby, after a writer in progress committed');
is_sql($standby, 'd', "SELECT entity_id, side FROM diagsync.changes('in-sync')", "e1|public\ne5|local", '... whose edit it sees');

# In a read-only transaction of the primary, too.
is_sql($primary, 'd', 'BEGIN READ ONLY; SELECT count(*) > 20 FROM diagsync.status_all(); SELECT count(*) > 20 FROM diagsync.changes(\'large\');'
	  . " SELECT count(*) FROM diagsync.conflicts('conflicts'); SELECT state FROM diagsync.status('conflicts'); COMMIT",
	"t\nt\n4\nconflict", 'readers work in a read-only transaction');

# ---- What writes is refused, cleanly

sub refused
{
	my ($where, $sql, $what) = @_;
	my ($status, $out, $err) = $where->psql('d', "\\set VERBOSITY verbose\n$sql", on_error_stop => 1);
	isnt($status, 0, "$what is refused");
	like($err, qr/ERROR:  25006:/, '... as in a read-only transaction');
	return;
}
foreach my $call ("push('pending-local')", "pull('pending-public')", "push('in-sync')", "share('alone')", "clone('two-p')",
	"link('alone', 'two-p')", "unlink('in-sync')", "resolve('conflicts', 'e1', 'local')", "refresh('in-sync')",
	"put('alone', '[{\"id\": \"x\"}]')", "remove('alone', '{e1}')", "create_diagram('x')", "drop_diagram('alone')",
	"set_storage_type('two-p', 'private')")
{
	refused($standby, "SELECT diagsync.$call", "$call on the standby");
	refused($primary, "BEGIN READ ONLY; SELECT diagsync.$call", "$call in a read-only transaction");
}
is_sql($standby, 'd', "SELECT state FROM diagsync.status('in-sync')", 'pending', 'the standby is well after that');

# A dry run writes nothing; where it is possible here, it must say the same.
foreach my $sync (qw(push pull))
{
	foreach my $id (qw(pending-both conflicts in-sync))
	{
		my $sql = "SELECT r.* FROM diagsync.$sync('$id', on_conflict => 'newest', dry_run => true) r";
		my ($status, $out, $err) = $standby->psql('d', "\\set VERBOSITY verbose\n$sql");
		if ($status == 0)
		{
			is($out, $primary->safe_psql('d', $sql), "a dry $sync of $id on the standby says what it says on the primary");
		}
		else
		{
			like($err, qr/ERROR:  25006:/, "a dry $sync of $id on the standby is refused cleanly");
		}
	}
}

# ---- Promoted

$primary->stop('immediate');
eval { $_->quit } foreach @writers;
$standby->promote;
same_picture(picture($standby, 'd'), $before, 'promoted');
# Ids of the lost transactions are given out again.
$standby->safe_psql('d', upd('in-sync-p', 'e2', 'P') . del('in-sync-p', 'e3') . ins('in-sync-p', 'new', 'P') . upd('in-sync-p', 'e4', 'P'));
is_sql($standby, 'd', "SELECT entity_id, side FROM diagsync.changes('in-sync')", "e1|public\ne2|public\ne3|public\ne4|public\ne5|local\nnew|public",
	'what is edited after the promotion is seen');
is_sql($standby, 'd', "SELECT documents_updated FROM diagsync.pull('in-sync'); SELECT documents_updated FROM diagsync.push('in-sync')", "5\n1", '... and synced');
is_sql($standby, 'd', "SELECT state FROM diagsync.status('in-sync');"
	  . " SELECT l.id, p.id FROM (SELECT * FROM diagsync_local.entity WHERE diagram_id = 'in-sync') l"
	  . " FULL JOIN (SELECT * FROM diagsync_public.entity WHERE diagram_id = 'in-sync-p') p ON l.id = p.id WHERE l.doc IS DISTINCT FROM p.doc",
	'in_sync', '... so that both ends are equal');
carry_on($standby, 'd');
is_sql($standby, 'd', 'SELECT DISTINCT state FROM diagsync.status_all()', 'in_sync', 'everything can be synced');

$standby->stop;
done_testing();
