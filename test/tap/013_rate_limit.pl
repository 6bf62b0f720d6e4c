# The count of syncs a minute: in shared memory failed calls are charged, too, and
# those of transactions that are rolled back; sessions share it; it is kept for each
# database and principal, and starts anew with the server. From PostgreSQL 17 on
# that needs no preloading; before, without it, the log of syncs is what counts.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Diagsync;

my $node = new_node('rate', conf => "max_prepared_transactions = 5\n");
my $limit = 10;
my $name = 'a';

# Runs statements in one session of a user; returns what became of each: its
# SQLSTATE, or "ok".
sub outcomes
{
	my ($db, $user, @sql) = @_;
	my ($ret, $out, $err) = $node->psql($db,
		"\\set VERBOSITY sqlstate\n" . join('', map { "$_;\n\\echo outcome :SQLSTATE\n" } @sql),
		extra_params => [ '-U', $user ], on_error_stop => 0);
	return join(' ', map { s/outcome //r =~ s/^00000$/ok/r } grep { /^outcome/ } split(/\n/, $out));
}

# "ok ok ok 53400" as "3 ok, 1 53400".
sub in_short
{
	my ($short, $last, $n) = ('', '', 0);
	foreach my $outcome (split(/ /, shift), '')
	{
		if ($outcome ne $last)
		{
			$short .= ($short eq '' ? '' : ', ') . "$n $last" if $n;
			($last, $n) = ($outcome, 0);
		}
		$n++;
	}
	return $short;
}

sub calls
{
	my ($db, $user, $sql, $n) = @_;
	return in_short(outcomes($db, $user, ($sql) x $n));
}

# Databases, users nobody has counted yet (a1, a2, ... with a linked diagram called
# like each), and an authenticator.
sub database
{
	my ($db, $users) = @_;

	new_database($node, $db);
	$node->safe_psql('postgres', "ALTER DATABASE $db SET diagsync.sync_rate_limit = $limit; ALTER DATABASE $db SET diagsync.trusted_authenticators = 'regress_auth'");
	foreach my $user ('regress_web', map { "regress_$_" } @$users)
	{
		$node->safe_psql($db, "SELECT diagsync.grant_usage('$user')");
	}
	foreach my $user (@$users)
	{
		$node->safe_psql($db, "SELECT diagsync.create_diagram('$user', 'local', '$user'); SELECT diagsync.put('$user', '[{\"id\": \"a\"}]'); SELECT diagsync.share('$user', '$user-p');"
			  . "SELECT diagsync.set_owner('$user', 'role:regress_$user')");
	}
	return;
}

my @users = map { "u$_" } 1 .. 12;
$node->safe_psql('postgres', join('', map { "CREATE ROLE regress_$_ LOGIN;" } @users)
	  . 'CREATE ROLE regress_web; CREATE ROLE regress_auth LOGIN NOINHERIT; GRANT regress_web TO regress_auth;');
database('d', \@users);
database('e', ['u1']);

my $version = $node->safe_psql('postgres', "SELECT current_setting('server_version_num')::int / 10000");

# ---- By the log -----------------------------------------------------------------

if ($version < 17)
{
	is(calls('d', 'regress_u1', "SELECT diagsync.pull('u1')", 12), '10 ok, 2 53400', 'without shared memory: as many as are allowed');
	is(calls('d', 'regress_u1', "SELECT diagsync.pull('u1')", 1), '1 53400', '... of all sessions');
	is(calls('d', 'regress_u2', "SELECT diagsync.push('nix')", 12), '12 42704', '... failed ones are not counted');
	is(calls('e', 'regress_u1', "SELECT diagsync.pull('u1')", 1), '1 ok', '... another database has a log of its own');
	$node->safe_psql('d', 'DELETE FROM diagsync.sync_log');
	is(calls('d', 'regress_u1', "SELECT diagsync.pull('u1')", 1), '1 ok', '... and the log is all that counts');
	$node->safe_psql('d', 'DELETE FROM diagsync.sync_log');
}
else
{
	count_in_shared_memory('not preloaded');
}

$node->append_conf('postgresql.conf', "shared_preload_libraries = 'diagsync'\n");
$node->restart;
count_in_shared_memory('preloaded');

# ---- In shared memory -----------------------------------------------------------

sub count_in_shared_memory
{
	my $how = shift;

	is(calls('d', 'regress_u1', "SELECT diagsync.pull('u1')", 12), '10 ok, 2 53400', "$how: as many as are allowed");
	is(calls('d', 'regress_u1', "SELECT diagsync.push('u1')", 2), '2 53400', '... another session has the same count');
	is(calls('e', 'regress_u1', "SELECT diagsync.pull('u1')", 11), '10 ok, 1 53400', '... another database one of its own');
	is(calls('d', 'regress_u2', "SELECT diagsync.pull('u2')", 1), '1 ok', '... so has another principal');

	is(calls('d', 'regress_u3', "SELECT diagsync.push('nix')", 12), '10 42704, 2 53400', 'calls that fail are charged');
	is(calls('d', 'regress_u3', "SELECT diagsync.pull('u3')", 1), '1 53400', '... and the next that would not is refused');
	is(calls('d', 'regress_u4', "SELECT diagsync.push('u4', dry_run => true)", 12), '10 ok, 2 53400', 'so are dry runs');
	is(in_short(outcomes('d', 'regress_u5', ('BEGIN', "SELECT diagsync.pull('u5')", 'ROLLBACK') x 12)),
		'31 ok, 1 53400, 2 ok, 1 53400, 1 ok', 'those of a transaction that is rolled back are charged');
	is(in_short(outcomes('d', 'regress_u6', 'BEGIN', (map { ("SAVEPOINT s", "SELECT diagsync.pull('u6')", 'ROLLBACK TO s') } 1 .. 11), 'COMMIT')),
		'32 ok, 1 53400, 2 ok', '... and those of a subtransaction');
	is(in_short(outcomes('d', 'regress_u7', (map { ("BEGIN", "SELECT diagsync.pull('u7')", "PREPARE TRANSACTION 'x'", "ROLLBACK PREPARED 'x'") } 1 .. 10), "SELECT diagsync.pull('u7')")),
		'40 ok, 1 53400', '... and of a prepared one');
	is(calls('d', 'regress_u8', "SELECT diagsync.status('u8')", 30), '30 ok', 'what is no sync is not');
	is(calls('d', 'postgres', "SELECT diagsync.pull('u8')", 30), '30 ok', 'superusers are not');
	is(calls('d', 'regress_u8', "SELECT diagsync.pull('u8')", 1), '1 ok', '... nor do they use up what others have');

	# A setting that is changed counts at once.
	$node->safe_psql('postgres', 'ALTER DATABASE d SET diagsync.sync_rate_limit = 15');
	is(calls('d', 'regress_u1', "SELECT diagsync.push('nix')", 6), '5 42704, 1 53400', 'a limit that is raised');
	$node->safe_psql('postgres', 'ALTER ROLE regress_u1 SET diagsync.sync_rate_limit = 0');
	is(calls('d', 'regress_u1', "SELECT diagsync.push('nix')", 40), '40 42704', '... or lifted for a role');
	$node->safe_psql('postgres', "ALTER ROLE regress_u1 RESET diagsync.sync_rate_limit; ALTER DATABASE d SET diagsync.sync_rate_limit = $limit");

	# How long to wait.
	my ($ret, $out, $err) = $node->psql('d', "SELECT diagsync.push('nix')", extra_params => [ '-U', 'regress_u3' ]);
	like($err, qr/\b([1-9]|[1-5]\d|60) seconds?\b/, 'a refused call says how long to wait');

	# JWT users, each apart; another role of theirs changes nothing.
	my @jwt = ('SET ROLE regress_web', map { my $sub = $_; ("SET request.jwt.claims = '{\"sub\": \"$sub\"}'", ("SELECT diagsync.push('nix')") x 11) } "x$how", "y$how");
	is(in_short(outcomes('d', 'regress_auth', @jwt)), '2 ok, 10 42704, 1 53400, 1 ok, 10 42704, 1 53400', 'JWT users are counted one by one');
	is(in_short(outcomes('d', 'regress_auth', 'SET ROLE regress_web', ("SELECT diagsync.push('nix')") x 2)), '1 ok, 2 42704', '... and not as their role');
	# Whoever floods the memory with principals does not break it.
	is(scalar($node->psql('d', "SET ROLE regress_web; DO \$\$ BEGIN FOR i IN 1..20000 LOOP PERFORM set_config('request.jwt.claims', json_build_object('sub', 'flood $how ' || i)::text, false);"
		  . " BEGIN PERFORM diagsync.push('nix'); EXCEPTION WHEN undefined_object THEN NULL; END; END LOOP; END \$\$", extra_params => [ '-U', 'regress_auth' ])), 0, 'a flood of principals');
	is(calls('d', 'regress_u9', "SELECT diagsync.push('nix')", 12), '10 42704, 2 53400', 'after 20,000 other principals');
	# Two that are as long as is allowed, of characters of four bytes, and the same up to the end.
	my @long = map { my $end = " $_ $how"; "\xF0\x9F\x98\x80" x (255 - length($end)) . $end } 1, 2;
	@jwt = ('SET ROLE regress_web', map { my $sub = $_; ("SET request.jwt.claims = '{\"sub\": \"$sub\"}'", ("SELECT diagsync.push('nix')") x 11) } @long);
	is(in_short(outcomes('d', 'regress_auth', @jwt)), '2 ok, 10 42704, 1 53400, 1 ok, 10 42704, 1 53400', 'very long principals are told apart');

	# The room that a diagram has for entities is shared, too.
	$node->safe_psql('postgres', 'ALTER ROLE regress_u12 SET diagsync.max_entities = 5');
	is(outcomes('d', 'regress_u12', map { "SELECT diagsync.put('u12', '[{\"id\": \"$how $_\"}]')" } 1 .. 6),
		'ok ok ok ok 54000 54000', 'room for five entities, of which there was one');
	$node->safe_psql('d', "SELECT diagsync.remove('u12', array_agg(id)) FROM diagsync_local.entity WHERE diagram_id = 'u12' AND id <> 'a'");

	# Many sessions at once: exactly as many as are allowed.
	$node->safe_psql('d', 'DROP TABLE IF EXISTS outcome; CREATE TABLE outcome (sqlstate text); GRANT INSERT ON outcome TO regress_u10');
	my $script = "$PostgreSQL::Test::Utils::tmp_check/rate.sql";
	append_to_file($script, "DO \$\$ DECLARE s text := 'ok'; BEGIN BEGIN PERFORM diagsync.push('nix'); EXCEPTION WHEN OTHERS THEN s := sqlstate; END; INSERT INTO outcome VALUES (s); END \$\$;\n");
	command_ok([ 'pgbench', '-n', '-c', '8', '-t', '25', '-U', 'regress_u10', '-h', $node->host, '-p', $node->port, '-f', $script, 'd' ], 'eight sessions at once');
	unlink $script;
	is_sql($node, 'd', "SELECT sqlstate, count(*) FROM outcome GROUP BY 1 ORDER BY 1", "42704|10\n53400|190", '... have what is allowed, together');

	room_for_entities($how);

	# They start anew with the server, clean or not.
	$node->restart;
	is(calls('d', 'regress_u1', "SELECT diagsync.pull('u1')", 11), '10 ok, 1 53400', 'a restart begins anew');
	$node->stop('immediate');
	$node->start;
	is(calls('d', 'regress_u1', "SELECT diagsync.push('nix')", 11), '10 42704, 1 53400', 'so does a crash');

	# A database of the same name is another.
	$node->safe_psql('postgres', 'DROP DATABASE e');
	database('e', ['u1']);
	is(calls('e', 'regress_u1', "SELECT diagsync.push('nix')", 1), '1 42704', 'a database that was made anew has no counts');
	# Leave nothing that the next round would count.
	$node->restart;
	return;
}

# ---- Room for entities --------------------------------------------------------------

# How much room a diagram has left is remembered, so that the next statement need
# not count; what is remembered is never more than there is.
sub room_for_entities
{
	my $how = shift;
	my $diagram = $how =~ s/ //gr;
	my $insert = sub { "INSERT INTO diagsync_public.entity (diagram_id, id, doc) SELECT '$diagram', 'e' || i, '{}' FROM generate_series($_[0], $_[1]) AS i" };

	$node->safe_psql('d', "SELECT diagsync.create_diagram('room', 'public', '$diagram'); ALTER ROLE regress_u11 SET diagsync.max_entities = 100");
	is(outcomes('d', 'regress_u11', $insert->(1, 60), $insert->(61, 90), $insert->(91, 101), $insert->(91, 100), $insert->(101, 101)),
		'ok ok 54000 ok 54000', "$how: as many entities as are allowed, in several statements");
	is(outcomes('d', 'regress_u11', "DELETE FROM diagsync_public.entity WHERE diagram_id = '$diagram' AND id IN ('e1', 'e2')", $insert->(101, 102), $insert->(103, 103)),
		'ok ok 54000', '... and again after some were deleted');
	$node->safe_psql('postgres', 'ALTER ROLE regress_u11 SET diagsync.max_entities = 50');
	is(outcomes('d', 'regress_u11', $insert->(103, 103)), '54000', '... a limit that is lowered counts at once');
	$node->safe_psql('postgres', 'ALTER ROLE regress_u11 SET diagsync.max_entities = 110');
	is(outcomes('d', 'regress_u11', $insert->(103, 110), 'BEGIN', $insert->(111, 112), 'ROLLBACK', $insert->(111, 112), $insert->(113, 113)),
		'ok ok ok ok ok 54000', '... and one that is raised; what was rolled back took none');
	return;
}

# ---- Settings, preloaded ----------------------------------------------------------

# PostgreSQL knows them when the connection string is read: what users must not set
# they cannot even try to.
my ($ret, $out, $err) = $node->psql('d', 'SELECT 1', extra_params => [ '-U', 'regress_u12' ], connstr => $node->connstr('d') . " options='-c diagsync.sync_rate_limit=0'");
isnt($ret, 0, 'a limit in the connection string');
like($err, qr/permission denied to set parameter "diagsync.sync_rate_limit"/, '... is refused');

$node->stop;
done_testing();
