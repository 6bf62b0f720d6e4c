# Whose claims are believed survives the ways in which a cluster is restored, as
# examples/rest/setup.sql sets it. Where it is lost, no web user passes for another:
# claims are an error.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Diagsync;

my $node = new_node('web');
my $dir  = PostgreSQL::Test::Utils::tempdir;
my $setup = "$FindBin::RealBin/../../examples/rest/setup.sql";
my $claims = 'SET ROLE diagsync_user; SET request.jwt.claims = \'{"sub": "%s", "role": "diagsync_user"}\';';
my $private = "SELECT count(*) FROM diagsync_local.entity WHERE diagram_id = 'diary'";

sub set_up
{
	my ($where, $db) = @_;
	command_ok([ 'psql', '-Xq', '-o', '/dev/null', '-d', $where->connstr($db), '-f', $setup ], 'setup.sql');
	return;
}

# What a web user is answered, by way of PostgREST's login role.
sub asked
{
	my ($where, $db, $who, $sql) = @_;
	my ($status, $out, $err) = $where->psql($db, sprintf($claims, $who) . $sql, extra_params => [ '-U', 'diagsync_authenticator' ]);
	return $status == 0 ? $out : (split(/\n/, $err))[0];
}

sub survives
{
	my ($where, $db, $what) = @_;
	is(asked($where, $db, 'ann', $private), '1', "$what: its owner reads a local diagram");
	is(asked($where, $db, 'ben', $private), '0', "$what: another user does not");
	is(asked($where, $db, 'ben', 'SELECT diagsync.principal()'), 'sub:ben', "$what: who that is");
	is(asked($where, $db, 'ann', 'SHOW diagsync.max_entities'), '100000', "$what: the limits are set");
	return;
}

$node->safe_psql('postgres', 'CREATE DATABASE web');
set_up($node, 'web');
is(asked($node, 'web', 'ann', "SELECT diagsync.create_diagram('Diary', id => 'diary'); SELECT diagsync.put('diary', '[{\"id\": \"pin\"}]')"), "diary\n1", 'a diary');
survives($node, 'web', 'the original');

command_ok([ 'pg_dump', '-d', $node->connstr('web'), '--format=custom', '-f', "$dir/custom" ], 'pg_dump --format=custom');
command_ok([ 'pg_dump', '-d', $node->connstr('web'), '--create', '-f', "$dir/create" ], 'pg_dump --create');
command_ok([ 'pg_dumpall', '-d', $node->connstr('postgres'), '--globals-only', '-f', "$dir/globals" ], 'pg_dumpall --globals-only');
command_ok([ 'pg_dumpall', '-d', $node->connstr('postgres'), '-f', "$dir/all" ], 'pg_dumpall');

# ---- Another database of the cluster

$node->safe_psql('postgres', 'CREATE DATABASE beside');
command_ok([ 'pg_restore', '--exit-on-error', '-d', $node->connstr('beside'), "$dir/custom" ], 'restored into another database');
survives($node, 'beside', 'another database');

# ---- New clusters

# The superuser is there already, so that errors are to be passed over.
sub run_script
{
	my ($where, $file) = @_;
	command_ok([ 'psql', '-Xq', '-o', '/dev/null', '-f', "$dir/$file", '-d', $where->connstr('postgres') ], "psql -f $file");
	return;
}

my $globals = new_node('globals');
run_script($globals, 'globals');
$globals->safe_psql('postgres', 'CREATE DATABASE renamed');
command_ok([ 'pg_restore', '--exit-on-error', '-d', $globals->connstr('renamed'), "$dir/custom" ], 'restored after the globals, under another name');
survives($globals, 'renamed', 'globals and pg_dump');
command_ok([ 'pg_restore', '--exit-on-error', '--create', '-d', $globals->connstr('postgres'), "$dir/custom" ], '... and with --create');
survives($globals, 'web', 'globals and pg_dump, created');
$globals->stop;

my $all = new_node('all');
run_script($all, 'all');
survives($all, 'web', 'pg_dumpall');
$all->stop;

# Roles made by hand: pg_dump --create has what they have in the database.
my $roles = "CREATE ROLE diagsync_authenticator LOGIN NOINHERIT; CREATE ROLE diagsync_anonymous; CREATE ROLE diagsync_user;"
  . 'GRANT diagsync_anonymous, diagsync_user TO diagsync_authenticator';
my $create = new_node('create');
$create->safe_psql('postgres', $roles);
command_ok([ 'psql', '-Xq', '-o', '/dev/null', '-v', 'ON_ERROR_STOP=1', '-f', "$dir/create", '-d', $create->connstr('postgres') ], 'psql -f create');
survives($create, 'web', 'pg_dump --create');

# ---- Where it is lost

$create->safe_psql('postgres', 'ALTER ROLE diagsync_authenticator RESET ALL');
$create->safe_psql('postgres', 'CREATE DATABASE lost');
command_ok([ 'pg_restore', '--exit-on-error', '-d', $create->connstr('lost'), "$dir/custom" ], 'restored without globals and without --create');
my $refused = qr/ERROR:  the claims of a JWT are not believed in this session/;
like(asked($create, 'lost', $_->[0], $_->[1]), $refused, "lost: $_->[0]: $_->[1]")
  foreach map({ my $who = $_; map { [ $who, $_ ] } $private, 'SELECT * FROM diagsync.status_all()', "SELECT diagsync.create_diagram('Mine')",
	"SELECT diagsync.put('diary', '[]')", 'SELECT count(*) FROM diagsync_api.diagrams', 'SELECT diagsync.check_request()' } 'ann', 'ben');
my ($status, $out, $err) = $create->psql('lost', "SET ROLE diagsync_anonymous; SET request.jwt.claims = '{\"role\": \"diagsync_anonymous\"}'; SELECT diagsync.check_request(), count(*) FROM diagsync_api.diagrams",
	extra_params => [ '-U', 'diagsync_authenticator' ]);
is("$status $out", '0 |0', 'a request without a login claims to be nobody, and is answered');
is_sql($create, 'lost', "SELECT owner FROM diagsync.directory", 'sub:ann', 'nobody owns more or less than before');
set_up($create, 'lost');
survives($create, 'lost', 'set up again');

$_->stop foreach ($create, $node);
done_testing();
