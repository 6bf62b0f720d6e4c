# A backend killed, or a server stopped at once, in the middle of a push or a
# pull: all of it or none is there, and the next sync does it.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);
use Diagsync;

my $node = new_node('crash', conf => "restart_after_crash = on\n");
new_database($node, 'd');

# 3,000 entities, of which a third each is updated, deleted and inserted; an
# application's trigger stops the sync in the middle of a statement and in a
# later batch, where it holds most locks and has written most rows.
$node->safe_psql('d', <<'SQL');
CREATE FUNCTION halt() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF current_setting('test.halt', true) = 'on'
		AND (CASE WHEN TG_OP = 'DELETE' THEN OLD.id ELSE NEW.id END) = TG_ARGV[0] THEN
		PERFORM pg_advisory_xact_lock(1);
	END IF;
	RETURN CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END;
END $$;
CREATE TRIGGER halt BEFORE INSERT OR UPDATE OR DELETE ON diagsync_public.entity FOR EACH ROW EXECUTE FUNCTION halt('e00700 stop');
CREATE TRIGGER halt BEFORE INSERT OR UPDATE OR DELETE ON diagsync_local.entity FOR EACH ROW EXECUTE FUNCTION halt('e00700 stop');
SQL

# Which of the operations the stop is in the middle of.
sub prepare
{
	my ($name, $end, $op) = @_;
	my $table = $end eq 'local' ? 'diagsync_local.entity' : 'diagsync_public.entity';
	my $edited = $end eq 'local' ? $name : "$name-p";
	# The entity at which it stops is updated, deleted or inserted.
	my $stop = { update => 0, delete => 1, insert => 2 }->{$op};

	$node->safe_psql('d', <<SQL);
SELECT diagsync.create_diagram('$name', 'local', '$name');
SELECT diagsync.put('$name', (SELECT jsonb_agg(jsonb_build_object('id', format('e%s', to_char(g, 'FM00000')), 'v', 'base')) FROM generate_series(1, 2000) g));
SELECT diagsync.put('$name', '[{"id": "e00700 stop", "v": "base"}]') WHERE $stop < 2;
SELECT diagsync.share('$name', '$name-p');
UPDATE $table SET doc = doc || '{"v": "edited"}' WHERE diagram_id = '$edited' AND (id < 'e00700' OR (id > 'e00700x' AND id < 'e01200') OR id = 'e00700 stop' AND $stop = 0);
DELETE FROM $table WHERE diagram_id = '$edited' AND (id > 'e01500' OR id IN ('e00001', 'e00690') OR id = 'e00700 stop' AND $stop = 1);
INSERT INTO $table (diagram_id, id, doc) SELECT '$edited', format('e%s new', to_char(g, 'FM00000')), '{"v": "new"}' FROM generate_series(1, 1000) g;
INSERT INTO $table (diagram_id, id, doc) SELECT '$edited', 'e00700 stop', '{"v": "new"}' WHERE $stop = 2;
SQL
	return;
}

sub state_of
{
	my $name = shift;
	return $node->safe_psql('d', <<SQL);
SELECT s.* FROM diagsync.status('$name') s;
SELECT md5(string_agg(c::text, '' ORDER BY entity_id)) FROM diagsync.changes('$name') c;
SELECT diagram_id, count(*), md5(string_agg(e::text, '' ORDER BY id)) FROM diagsync.entity e WHERE diagram_id IN ('$name', '$name-p') GROUP BY 1 ORDER BY 1;
SELECT count(*), md5(string_agg(b::text, '' ORDER BY id)) FROM diagsync_local.base b WHERE diagram_id = '$name';
SELECT count(*), md5(string_agg(t::text, '' ORDER BY id)) FROM diagsync_public.tombstone t WHERE diagram_id = '$name-p';
SELECT d.* FROM diagsync.directory d WHERE id = '$name';
SQL
}

my $n = 0;

sub in_the_middle
{
	my ($sync, $op, $how) = @_;
	my $name = 'crash' . ++$n;
	my $what = "$sync stopped in the middle of $op ($how)";

	prepare($name, $sync eq 'push' ? 'local' : 'public', $op);
	my $before = state_of($name);
	my $holder = background($node, 'd');
	$holder->query_safe('SELECT pg_advisory_lock(1)');
	my $session = background($node, 'd');
	$session->query_safe("SET test.halt = 'on'");
	my $pid = $session->query_safe('SELECT pg_backend_pid()');
	blocked_session($session, "SELECT diagsync.$sync('$name');");
	$node->poll_query_until('d', "SELECT wait_event_type = 'Lock' AND wait_event = 'advisory' FROM pg_stat_activity WHERE pid = $pid")
	  or die "$what: it does not get there";
	is(state_of($name), $before, "$what: nobody else sees anything of it");

	if ($how eq 'kill')
	{
		my $offset = -s $node->logfile;
		kill('KILL', $pid) or die "cannot kill $pid: $!";
		# The server restarts by itself.
		$node->wait_for_log(qr/all server processes terminated; reinitializing/, $offset);
		# Without a query: psql, refused, may be gone before it could be given one.
		$node->poll_query_until('d', undef, '') or die 'the server is not back';
	}
	else
	{
		$node->stop('immediate');
		$node->start;
	}
	# What is left of the clients.
	eval { $_->{run}->kill_kill } foreach ($session, $holder);

	is(state_of($name), $before, "$what: none of it is there after recovery");
	my $result = $node->safe_psql('d', "SELECT success, documents_updated, inserted, updated, deleted, conflicts FROM diagsync.$sync('$name')");
	my ($inserted, $updated, $deleted) = (1000 + ($op eq 'insert'), 1196 + ($op eq 'update'), 502 + ($op eq 'delete'));
	is($result, join('|', 't', $inserted + $updated + $deleted, $inserted, $updated, $deleted, 0), "$what: the next $sync does all of it");
	is_sql($node, 'd', "SELECT state, local_changes, public_changes FROM diagsync.status('$name');"
		  . " SELECT count(*) FROM (SELECT * FROM diagsync_local.entity WHERE diagram_id = '$name') l"
		  . " FULL JOIN (SELECT * FROM diagsync_public.entity WHERE diagram_id = '$name-p') p ON l.id = p.id WHERE l.doc IS DISTINCT FROM p.doc;"
		  . " SELECT count(*) FROM diagsync_local.base WHERE diagram_id = '$name'",
		"in_sync|0|0\n0\n0", "$what: then both ends are equal");
	$node->safe_psql('d', upd("$name-p", 'e01300', 'P') . del("$name-p", 'e01301') . upd($name, 'e01302', 'L'));
	is_sql($node, 'd', "SELECT entity_id, side FROM diagsync.changes('$name')", "e01300|public\ne01301|public\ne01302|local",
		"$what: and edits are noted as ever");
	return;
}

in_the_middle('push', 'update', 'kill');
in_the_middle('pull', 'insert', 'kill');
in_the_middle('push', 'insert', 'immediate');
in_the_middle('push', 'delete', 'immediate');
in_the_middle('pull', 'update', 'immediate');

# What has answered is there, however soon the server dies: push and pull.
foreach my $sync (qw(push pull))
{
	my $name = "done-$sync";
	prepare($name, $sync eq 'push' ? 'local' : 'public', 'insert');
	my $session = background($node, 'd');
	my $answer = $session->query_safe("SELECT success FROM diagsync.$sync('$name')");
	$node->stop('immediate');
	$node->start;
	eval { $session->{run}->kill_kill };
	is_sql($node, 'd', "SELECT state FROM diagsync.status('$name')", 'in_sync', "a $sync that has answered ($answer) is there after a crash");
}

# Edits that were under way, and in progress in what a link had seen, are gone;
# their ids are not given out again as seen.
$node->safe_psql('d', "SELECT diagsync.create_diagram('x', 'local', 'x'); SELECT diagsync.put('x', " . entities(5) . "); SELECT diagsync.share('x', 'x-p')");
my $writer = background($node, 'd');
$writer->query_safe('BEGIN; ' . upd('x-p', 'e1', 'lost'));
$node->safe_psql('d', 'SELECT pg_current_xact_id()');
$node->safe_psql('d', upd('x-p', 'e2', 'P') . "SELECT diagsync.pull('x')");
$node->stop('immediate');
$node->start;
eval { $writer->{run}->kill_kill };
is_sql($node, 'd', "SELECT state FROM diagsync.status('x')", 'in_sync', 'an edit under way is gone');
$node->safe_psql('d', upd('x-p', 'e1', 'P') . upd('x-p', 'e2', 'again') . del('x-p', 'e3') . ins('x-p', 'new', 'P'));
is_sql($node, 'd', "SELECT entity_id FROM diagsync.changes('x')", "e1\ne2\ne3\nnew", '... and those after the crash are seen');

$node->stop;
done_testing();
