# One-row writers meet no deadlock with a sync; looking for deadlocks early does not
# fill the log.
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
	# The push goes on, and waits for e3 in the shared copy.
	$far->query_safe("BEGIN; SELECT 1 FROM diagsync_public.entity WHERE diagram_id = '$name-p' AND id = 'e3' FOR UPDATE");
	$first->query_safe('COMMIT');
	$node->poll_query_until('d', "SELECT pg_blocking_pids($sync_pid) = ARRAY[" . $far->query_safe('SELECT pg_backend_pid()') . ']')
	  or die 'the push does not wait for the shared copy';
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

# With log_lock_waits a wait is logged after deadlock_timeout, not when the sync
# looks for a deadlock, and so is its end; the setting is as it was afterwards.
{
	my ($holder, $sync) = map { background($node, 'd') } 1 .. 2;

	$node->safe_psql('d', "SELECT diagsync.create_diagram('log', 'local', 'log'); SELECT diagsync.put('log', " . entities(5) . ");"
		  . " SELECT diagsync.share('log', 'log-p'); SELECT diagsync.clone('log-p', 'log2');");
	my $sync_pid = $sync->query_safe("SET log_lock_waits = on; SET deadlock_timeout = '1s'; SELECT pg_backend_pid()");
	foreach my $call ("push('log')", "pull('log2', on_conflict => 'public')", "resolve('log2', 'e1', 'local')")
	{
		foreach my $long (0, 1)
		{
			my $from = -s $node->logfile;
			my ($diagram) = $call =~ /'(log2?)'/;

			# There is something to push, to pull, in conflict.
			$node->safe_psql('d', upd($diagram, 'e1', "$call $long") . ($diagram eq 'log2' ? upd('log-p', 'e1', "far $call $long") : ''));
			$holder->query_safe("BEGIN; SELECT 1 FROM diagsync_local.entity WHERE diagram_id = '$diagram' AND id = 'e1' FOR UPDATE");
			blocked_session($sync, "SELECT 'done' FROM diagsync.$call;");
			blocked($sync_pid);
			if ($long)
			{
				$node->wait_for_log(qr/process $sync_pid still waiting for .* after 1\d\d\d\.\d+ ms/, $from);
			}
			else
			{
				$holder->query_safe('SELECT pg_sleep(0.4)');
			}
			$holder->query_safe('COMMIT');
			my ($answer, $error) = result_of($sync);
			is($answer =~ s/\n//r . $error, 'done', "$call waits for a writer");
			my $log = slurp_file($node->logfile, $from);
			my @waits = $log =~ /process $sync_pid (still waiting|acquired)/g;
			is("@waits", $long ? 'still waiting acquired' : '', $long ? '... longer than deadlock_timeout: logged' : '... less than deadlock_timeout: not logged');
		}
	}
	is($sync->query_safe('SHOW log_lock_waits'), 'on', 'the setting is as it was');
	is($sync->query_safe('SHOW deadlock_timeout'), '1s', '... and so is the other');

	# Of a deadlock that the sync gives way in nothing is logged either.
	my $from = -s $node->logfile;
	$node->safe_psql('d', upd('log', 'e1', 'x') . upd('log', 'e2', 'x'));
	$holder->query_safe("SET deadlock_timeout = '10s'; BEGIN; SELECT 1 FROM diagsync_local.entity WHERE diagram_id = 'log' AND id = 'e2' FOR UPDATE");
	blocked_session($sync, "SELECT success FROM diagsync.push('log');");
	blocked($sync_pid);
	is($holder->query_safe(upd('log', 'e1', 'y') . 'SELECT 1; COMMIT'), '1', 'a writer who closes a circle goes on');
	my ($answer, $error) = result_of($sync);
	is($error, '', '... and the push, too');
	unlike(slurp_file($node->logfile, $from), qr/process $sync_pid (?:still waiting|detected|acquired)/, '... which the log does not tell');
	$_->quit foreach ($holder, $sync);
}

$node->stop;
done_testing();
