# A sync cancelled, timed out or terminated leaves nothing behind, wherever it
# was; the session and its transaction go on as if it had not been called.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Diagsync;

my $node = new_node('cancel');
new_database($node, 'd');
$node->safe_psql('d', <<'SQL' . "SELECT diagsync.create_diagram('a', 'local', 'a'); SELECT diagsync.put('a', " . entities(50) . "); SELECT diagsync.share('a', 'a-p'); SELECT diagsync.clone('a-p', 'b');");
CREATE FUNCTION halt() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF current_setting('test.halt', true) = 'lock' AND coalesce(NEW.id, OLD.id) = 'e30' THEN
		PERFORM pg_advisory_xact_lock(1);
	ELSIF current_setting('test.halt', true) = 'sleep' AND coalesce(NEW.id, OLD.id) = 'e30' THEN
		PERFORM pg_sleep(120);
	END IF;
	RETURN coalesce(NEW, OLD);
END $$;
CREATE TRIGGER halt BEFORE INSERT OR UPDATE OR DELETE ON diagsync_public.entity FOR EACH ROW EXECUTE FUNCTION halt();
CREATE TRIGGER halt BEFORE INSERT OR UPDATE OR DELETE ON diagsync_local.entity FOR EACH ROW EXECUTE FUNCTION halt();
SQL
# Something for a push and for a pull to do, at e30 and on both sides of it.
$node->safe_psql('d',
	"UPDATE diagsync_local.entity SET doc = doc || '{\"v\": \"L\"}' WHERE diagram_id = 'a' AND id BETWEEN 'e2' AND 'e3z';"
	  . del('a', 'e1') . ins('a', 'new L', 'L')
	  . "UPDATE diagsync_public.entity SET doc = doc || '{\"v\": \"P\"}' WHERE diagram_id = 'a-p' AND id > 'e4';"
	  . del('a-p', 'e10') . ins('a-p', 'new P', 'P')
	  . "UPDATE diagsync_local.entity SET doc = doc || '{\"v\": \"M\"}' WHERE diagram_id = 'b' AND id = 'e11';");

my $state = <<'SQL';
SELECT * FROM diagsync.status_all() ORDER BY local_id;
SELECT * FROM diagsync.entity ORDER BY 1, 2, 3;
SELECT * FROM diagsync_local.base ORDER BY 1, 2;
SELECT * FROM diagsync_public.tombstone ORDER BY 1, 2;
SELECT * FROM diagsync.directory ORDER BY id;
SQL
my $before = $node->safe_psql('d', $state);
my $holder = background($node, 'd');
my $session;
my $pid;

sub fresh_session
{
	$session = background($node, 'd');
	$session->query_safe('\set VERBOSITY verbose');
	$pid = $session->query_safe('SELECT pg_backend_pid()');
	return;
}

sub waits
{
	$node->poll_query_until('d', "SELECT wait_event_type = 'Lock' OR wait_event = 'PgSleep' FROM pg_stat_activity WHERE pid = $pid")
	  or die 'the sync does not wait';
	return;
}

# What must be as before, in other sessions and in this one: nothing written, no
# lock held, edits noted.
sub nothing_left
{
	my $what = shift;

	$node->poll_query_until('d', "SELECT count(*) = 0 FROM pg_locks WHERE pid = $pid AND locktype IN ('relation', 'tuple', 'transactionid')")
	  or diag('it still holds locks');
	is($node->safe_psql('d', $state), $before, "$what: nothing is left behind");
	my $edited = $session->query_safe('BEGIN; ' . upd('a', 'e12', 'edited') . upd('a-p', 'e13', 'edited') . del('a-p', 'e14')
		  . "SELECT count(*) FROM diagsync_local.base WHERE id = 'e12'; SELECT count(*) FROM diagsync_public.tombstone WHERE id = 'e14';"
		  . "SELECT entity_id, side FROM diagsync.changes('a') WHERE entity_id IN ('e12', 'e13', 'e14'); ROLLBACK;");
	is($edited, "1\n1\ne12|local\ne13|public\ne14|public", "$what: edits in the session are noted");
	my $synced = $session->query_safe("BEGIN; SET LOCAL test.halt = ''; SELECT success, documents_updated FROM diagsync.push('a');"
		  . " SELECT success, documents_updated FROM diagsync.pull('a'); SELECT state FROM diagsync.status('a'); ROLLBACK;");
	is($synced, "t|24\nt|18\nin_sync", "$what: the session can sync");
	return;
}

fresh_session();
my $count = $session->query_safe("BEGIN; SELECT documents_updated FROM diagsync.push('a'); ROLLBACK; BEGIN; SELECT documents_updated FROM diagsync.pull('a'); ROLLBACK;");
is($count, "24\n18", 'there is something to push and to pull');
is($node->safe_psql('d', $state), $before, 'a sync rolled back leaves nothing behind');

# ---- Cancelled in the middle of writing

foreach my $sync (qw(push pull))
{
	# Of what a pull writes locally, too, something stops it.
	$node->safe_psql('d', 'ALTER TABLE diagsync_local.entity DISABLE TRIGGER halt') if $sync eq 'push';
	$node->safe_psql('d', 'ALTER TABLE diagsync_local.entity ENABLE TRIGGER halt; ') if $sync eq 'pull';
	my $call = $sync eq 'push' ? "push('a')" : "pull('b')";
	if ($sync eq 'pull')
	{
		$session->query_safe(upd('a-p', 'e30', 'P') . upd('a-p', 'e29', 'P') . upd('a-p', 'e31', 'P'));
		# b has not seen that yet; a is left alone from here.
		$session->query_safe("SELECT diagsync.pull('a', on_conflict => 'skip')");
		$before = $node->safe_psql('d', $state);
	}
	my $left = $sync eq 'push' ? \&nothing_left : sub {
		my $what = shift;
		is($node->safe_psql('d', $state), $before, "$what: nothing is left behind");
		is( $session->query_safe('BEGIN; ' . upd('b', 'e12', 'edited') . "SELECT count(*) FROM diagsync_local.base WHERE id = 'e12' AND diagram_id = 'b'; ROLLBACK"),
			'1', "$what: edits in the session are noted");
		like( $session->query_safe("BEGIN; SET LOCAL test.halt = ''; SELECT success, documents_updated FROM diagsync.pull('b');"
				  . " SELECT public_changes FROM diagsync.status('b'); ROLLBACK;"),
			qr/^t\|\d+\n0$/, "$what: the session can sync");
	};

	$holder->query_safe('SELECT pg_advisory_lock(1)');
	$session->query_safe("SET test.halt = 'lock'");
	blocked_session($session, "SELECT diagsync.$call;");
	waits();
	$node->safe_psql('d', "SELECT pg_cancel_backend($pid)");
	like((result_of($session))[1], qr/ERROR:  57014: canceling statement due to user request/, "$call cancelled in a trigger");
	$left->("$call cancelled in a trigger");

	# In a savepoint; the transaction goes on, with what it did before.
	$session->query_safe('BEGIN; ' . upd('b', 'e15', 'before') . 'SAVEPOINT s;');
	blocked_session($session, "SELECT diagsync.$call;");
	waits();
	$node->safe_psql('d', "SELECT pg_cancel_backend($pid)");
	like((result_of($session))[1], qr/57014/, "$call cancelled in a savepoint");
	is( $session->query_safe("ROLLBACK TO s; SET LOCAL test.halt = '';" . upd('b', 'e16', 'after')
			  . "SELECT id FROM diagsync_local.base WHERE diagram_id = 'b' AND id IN ('e15', 'e16') ORDER BY 1;"
			  . "SELECT success FROM diagsync.$call; ROLLBACK;"),
		"e15\ne16\nt", '... and the transaction goes on');
	$holder->query_safe('SELECT pg_advisory_unlock(1)');
	$left->("$call cancelled in a savepoint");

	# Caught by the caller's own code.
	$session->query_safe("SET test.halt = 'sleep'; SET statement_timeout = '300ms'");
	$session->query("SELECT diagsync.$call;");
	like($session->{stderr}, qr/57014: canceling statement due to statement timeout/, "$call timed out");
	$session->{stderr} = '';
	$session->query_safe("SET statement_timeout = 0");
	$left->("$call timed out");
	$session->query_safe("SET test.halt = ''");
}

# ---- Cancelled while it waits for a lock

sub cancelled_waiting
{
	my ($lock, $call, $what) = @_;

	$before = $node->safe_psql('d', $state);
	$holder->query_safe("BEGIN; $lock");
	blocked_session($session, "SELECT diagsync.$call;");
	waits();
	$node->safe_psql('d', "SELECT pg_cancel_backend($pid)");
	like((result_of($session))[1], qr/57014/, "$call cancelled while it waits for $what");
	$session->query_safe("SET lock_timeout = '100ms'");
	$session->query("SELECT diagsync.$call;");
	like($session->{stderr}, qr/ERROR:  55P03/, "$call gives up waiting for $what after lock_timeout");
	$session->{stderr} = '';
	$session->query_safe('RESET lock_timeout');
	$holder->query_safe('ROLLBACK');
	is($node->safe_psql('d', $state), $before, '... nothing is left behind');
	return;
}
cancelled_waiting(upd('a', 'e30', 'other'), "push('a', on_conflict => 'local')", 'a local entity');
cancelled_waiting("SELECT 1 FROM diagsync_local.base WHERE diagram_id = 'a' AND id = 'e30' FOR UPDATE;", "push('a', on_conflict => 'local')", 'a base row');
cancelled_waiting(upd('a-p', 'e30', 'other'), "push('a', on_conflict => 'local')", 'an entity of the shared copy');
cancelled_waiting(upd('b', 'e31', 'other'), "pull('b')", 'a local entity');
cancelled_waiting("SELECT 1 FROM diagsync.directory WHERE id = 'a' FOR UPDATE;", "push('a')", 'its link');
cancelled_waiting("SELECT diagsync.push('a', on_conflict => 'local');", "pull('a', on_conflict => 'public')", 'another sync');
cancelled_waiting("SELECT 1 FROM diagsync.directory WHERE id = 'a-p' FOR UPDATE;", "clone('a-p', 'c')", 'the directory row of the shared copy');
cancelled_waiting(upd('a', 'e30', 'other'), "resolve('a', 'e30', 'local')", 'the entity in conflict');

# ---- Terminated

$node->safe_psql('d', 'ALTER TABLE diagsync_local.entity DISABLE TRIGGER halt');
$before = $node->safe_psql('d', $state);
$holder->query_safe('SELECT pg_advisory_lock(1)');
$session->query_safe("SET test.halt = 'lock'");
blocked_session($session, "SELECT diagsync.push('a', on_conflict => 'local');");
waits();
$node->safe_psql('d', "SELECT pg_terminate_backend($pid, 60000)");
is($node->safe_psql('d', $state), $before, 'terminated: nothing is left behind');
eval { $session->{run}->kill_kill };
$holder->query_safe('SELECT pg_advisory_unlock(1)');

fresh_session();
$session->query_safe("SELECT diagsync.$_") foreach ("push('a', on_conflict => 'local')", "pull('a')", "pull('b', on_conflict => 'local')", "push('b')", "pull('a')");
is_sql($node, 'd', 'SELECT local_id, state FROM diagsync.status_all() ORDER BY 1', "a|in_sync\nb|in_sync", 'after all that, everything can be synced');
is_sql($node, 'd', "SELECT diagram_id, md5(string_agg(id || doc, '' ORDER BY id)) = (SELECT md5(string_agg(id || doc, '' ORDER BY id))"
	  . " FROM diagsync_public.entity) FROM diagsync_local.entity GROUP BY 1 ORDER BY 1", "a|t\nb|t", '... and all copies are equal');

$session->quit;
$holder->quit;
$node->stop;
done_testing();
