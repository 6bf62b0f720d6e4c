# One-row writers meet no deadlock with a sync.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Diagsync;

my $node = new_node('deadlock', conf => "deadlock_timeout = '100ms'\n");
new_database($node, 'd');

sub blocked
{
	my $pid = shift;
	$node->poll_query_until('d', "SELECT wait_event_type = 'Lock' FROM pg_stat_activity WHERE pid = $pid")
	  or die "process $pid does not wait";
	return;
}

# An entity that was deleted locally is inserted again after the sync has read
# and before it locks: the sync then holds the base row without the entity,
# which its writer edits once more. Both must get on.
foreach my $edit (qw(update delete))
{
	my $name = "again-$edit";
	$node->safe_psql('d', "SELECT diagsync.create_diagram('$name', 'local', '$name'); SELECT diagsync.put('$name', " . entities(5) . ");"
		  . " SELECT diagsync.share('$name', '$name-p');" . upd($name, 'e1', 'L') . del($name, 'e2') . upd($name, 'e3', 'L'));

	my ($first, $sync, $far, $writer) = map { background($node, 'd') } 1 .. 4;
	my $sync_pid = $sync->query_safe('SELECT pg_backend_pid()');
	my $writer_pid = $writer->query_safe('SELECT pg_backend_pid()');

	# The push has read, and waits for e1.
	$first->query_safe('BEGIN; ' . upd($name, 'e1', 'L2'));
	blocked_session($sync, "SELECT success FROM diagsync.push('$name', on_conflict => 'skip');");
	blocked($sync_pid);
	# e2 is there again.
	$writer->query_safe(ins($name, 'e2', 'again'));
	# The push goes on, and waits for e3 at the far end.
	$far->query_safe("BEGIN; SELECT 1 FROM diagsync_public.entity WHERE diagram_id = '$name-p' AND id = 'e3' FOR UPDATE");
	$first->query_safe('COMMIT');
	$node->poll_query_until('d', "SELECT pg_blocking_pids($sync_pid) = ARRAY[" . $far->query_safe('SELECT pg_backend_pid()') . ']')
	  or die 'the push does not wait for the far end';
	# e2 is edited once more, by a one-row transaction.
	blocked_session($writer, $edit eq 'update' ? upd($name, 'e2', 'and again') : del($name, 'e2'));
	$node->poll_query_until('d', "SELECT wait_event_type = 'Lock' OR state = 'idle' FROM pg_stat_activity WHERE pid = $writer_pid");
	$far->query_safe('COMMIT');

	my ($answer, $error) = result_of($writer);
	is($error, '', "$edit of an entity inserted again while a push is under way");
	($answer, $error) = result_of($sync);
	is($error, '', '... and the push');
	$_->quit foreach ($first, $sync, $far, $writer);
	$node->safe_psql('d', "SELECT diagsync.push('$name'); SELECT diagsync.pull('$name')");
	is_sql($node, 'd', "SELECT (SELECT state FROM diagsync.status('$name')),"
		  . " (SELECT doc ->> 'v' FROM diagsync_public.entity WHERE diagram_id = '$name-p' AND id = 'e2')",
		$edit eq 'update' ? 'in_sync|and again' : 'in_sync|', '... nothing is lost');
}

$node->stop;
done_testing();
