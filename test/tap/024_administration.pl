# What administrators do to a database with diagrams: drop the schemas that they do
# not use, publish all tables, let the role go that made the extension, drop roles
# and make them again, back up as a role of its own, drop the extension.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Diagsync;

my $node = new_node('administered', conf => "wal_level = logical\nmax_replication_slots = 4\n");
my $new  = new_node('another');
my $dir  = PostgreSQL::Test::Utils::tempdir;

sub dump_of
{
	my ($db, @options) = @_;
	my $file = "$dir/$db.dump";
	command_ok([ 'pg_dump', '-d', $node->connstr($db), '--format=custom', '-f', $file, @options ], "pg_dump of $db");
	return $file;
}

sub sql_of
{
	my $file = shift;
	my ($sql, $err) = run_command([ 'pg_restore', '-f', '-', $file ]);
	return $sql;
}

sub restore
{
	my ($where, $db, $file, $name) = @_;
	command_ok([ 'pg_restore', '--exit-on-error', '-d', $where->connstr($db), $file ], $name);
	return;
}

# ---- Schemas ------------------------------------------------------------------

$node->safe_psql('postgres', "CREATE DATABASE $_") foreach qw(bare app);
$node->safe_psql('bare', 'DROP SCHEMA public CASCADE; CREATE EXTENSION diagsync;');
diagrams($node, 'bare');
my $before = picture($node, 'bare');
$node->safe_psql('app', 'CREATE SCHEMA app; SET search_path = app; CREATE EXTENSION diagsync;');
is_sql($node, 'app', "SELECT diagsync.create_diagram('A', id => 'a')", 'a', 'made while another schema is first in search_path');
$node->safe_psql('app', 'DROP SCHEMA app CASCADE; DROP SCHEMA public CASCADE;');
is_sql($node, 'app', 'SELECT id FROM diagsync.directory', 'a', 'schemas that are dropped take no diagrams along');

# Restored, where there is a schema public or not.
my $bare = dump_of('bare');
$new->safe_psql('postgres', "CREATE DATABASE $_") foreach qw(with_public without_public old);
$new->safe_psql($_, 'DROP SCHEMA public CASCADE') foreach qw(without_public);
foreach my $db (qw(with_public without_public))
{
	restore($new, $db, $bare, "restored: $db");
	same_picture(picture($new, $db), $before, $db);
}

# A dump that says another schema, from before the extension had one of its own.
my $old = sql_of($bare);
$old =~ s/WITH SCHEMA pg_catalog/WITH SCHEMA public/ or die 'no schema in the dump';
append_to_file("$dir/old.sql", $old);
$new->safe_psql('old', 'CREATE EXTENSION diagsync');
command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-d', $new->connstr('old'), '-f', "$dir/old.sql" ],
	'a dump that says another schema is restored where the extension is made before');
same_picture(picture($new, 'old'), $before, 'from another schema');

# ---- The role that made it leaves ------------------------------------------------

$node->safe_psql('postgres', 'CREATE DATABASE left_behind; CREATE ROLE leaver SUPERUSER LOGIN; CREATE ROLE heir; CREATE ROLE member_of_staff;');
$node->safe_psql('left_behind', "SET ROLE leaver; CREATE EXTENSION diagsync; SELECT diagsync.grant_usage('member_of_staff');");
$node->safe_psql('left_behind', 'SET ROLE member_of_staff; ' . "SELECT diagsync.create_diagram('L', id => 'l'), diagsync.put('l', '[{\"id\": \"a\"}]'), diagsync.share('l', 'p')");
$node->safe_psql('left_behind', 'REASSIGN OWNED BY leaver TO heir; DROP OWNED BY leaver;');
$node->safe_psql('postgres', 'DROP ROLE leaver');
is_sql($node, 'left_behind',
	"SET ROLE member_of_staff; SELECT diagsync.put('l', '[{\"id\": \"b\"}]'); SELECT inserted FROM diagsync.push('l');"
	  . " SELECT diagsync.remove('p', '{a}'); SELECT deleted FROM diagsync.pull('l'); SELECT state FROM diagsync.status('l')",
	"1\n1\n1\n1\nin_sync", 'everything works, owned by a role without rights of its own');
is_sql($node, 'left_behind', 'SELECT diagsync.prune() >= 0', 't', '... prune() too');
is_sql($node, 'left_behind', "SET ROLE heir; SELECT diagsync.grant_usage('member_of_staff')", '', '... and the heir may grant');
my $left = dump_of('left_behind');
unlike(sql_of($left), qr/(FROM|TO) "[0-9]+"/, 'the dump names no role by its number');
$new->safe_psql('postgres', 'CREATE DATABASE left_behind; CREATE ROLE member_of_staff;');
restore($new, 'left_behind', $left, 'it is restored without an error');
my $rights = "SELECT count(*), count(*) FILTER (WHERE has_function_privilege('member_of_staff', oid, 'EXECUTE')),"
  . " count(*) FILTER (WHERE has_function_privilege('public', oid, 'EXECUTE')) FROM pg_proc WHERE pronamespace::regnamespace::text LIKE 'diagsync%'";
is_sql($new, 'left_behind', $rights, $node->safe_psql('left_behind', $rights), '... with the same rights');

# ---- Roles that are dropped and made again ----------------------------------------

my $zoe = "SET ROLE zoe; SELECT count(*) FROM diagsync_local.entity";
$node->safe_psql('postgres', 'CREATE DATABASE staff; CREATE ROLE staff; CREATE ROLE zoe IN ROLE staff;');
$new->safe_psql('postgres', 'CREATE DATABASE staff; CREATE ROLE staff; CREATE ROLE zoe IN ROLE staff;');
$node->safe_psql('staff', "CREATE EXTENSION diagsync; SELECT diagsync.grant_usage('staff');");
$node->safe_psql('staff', "SET ROLE zoe; SELECT diagsync.create_diagram('Diary', id => 'diary'), diagsync.put('diary', '[{\"id\": \"a\"}]')");
my $staff = dump_of('staff');
restore($new, 'staff', $staff, 'restored on another cluster');
is_sql($new, 'staff', $zoe, '1', 'there, a role of the name has it');
my (undef, undef, $notice) = $new->psql('staff', "BEGIN; SELECT diagsync.grant_usage('zoe'); ROLLBACK;");
like($notice, qr/NOTICE:  role "zoe" has diagrams or memberships already/, '... which is said when it is let in');
is_sql($new, 'staff', 'SELECT diagsync.prune()', '0', '... which prune() notes');
foreach my $where ($node, $new)
{
	$where->safe_psql('postgres', 'DROP ROLE zoe; CREATE ROLE zoe IN ROLE staff;');
	my ($status, $out, $err) = $where->psql('staff', $zoe);
	like($err, qr/"role:zoe" is another role than the one/, 'another zoe has nothing on cluster ' . $where->name);
	is_sql($where, 'staff', 'SELECT principal, diagrams FROM diagsync.orphan', 'role:zoe|1', '... which shows whose diagrams wait');
}
$node->safe_psql('postgres', 'CREATE DATABASE staff_again');
restore($node, 'staff_again', $staff, 'restored on the same cluster');
my ($status, $out, $err) = $node->psql('staff_again', $zoe);
like($err, qr/"role:zoe" is another role than the one/, '... where the new zoe still has nothing');
$node->safe_psql('staff_again', "SELECT diagsync.confirm_role('zoe')");
is_sql($node, 'staff_again', $zoe, '1', '... until an administrator says so');

# ---- A role for backups -------------------------------------------------------------

$node->safe_psql('postgres', 'CREATE ROLE reads_all LOGIN IN ROLE pg_read_all_data; CREATE ROLE backup LOGIN BYPASSRLS IN ROLE pg_read_all_data;');
($status, $out, $err) = $node->psql('bare', 'SET ROLE reads_all; SELECT count(*) FROM diagsync.directory');
like($err, qr/permission denied for function may_see/, 'pg_read_all_data alone does not read the tables');
is_sql($node, 'bare', 'SET ROLE backup; SELECT count(*) FROM diagsync.directory', $node->safe_psql('bare', 'SELECT count(*) FROM diagsync.directory'),
	'with BYPASSRLS it reads them all');
$new->safe_psql('postgres', 'CREATE DATABASE backed_up');
my $backup = "$dir/backup";
command_ok([ 'pg_dump', '-d', $node->connstr('bare'), '-U', 'backup', '--format=custom', '-f', $backup ], 'that is all that pg_dump needs');
restore($new, 'backed_up', $backup, 'its dump is restored');
same_picture(picture($new, 'backed_up'), $before, 'from a dump by a role that is no superuser');

# ---- Publications ---------------------------------------------------------------------

foreach my $publication ('FOR ALL TABLES', 'FOR TABLES IN SCHEMA diagsync, diagsync_local, diagsync_public, diagsync_private')
{
	$node->safe_psql('postgres', 'CREATE DATABASE published');
	$node->safe_psql('published', "CREATE EXTENSION diagsync; CREATE PUBLICATION everything $publication;");
	$node->safe_psql('published', "SELECT pg_create_logical_replication_slot('published', 'pgoutput')");
	diagrams($node, 'published');
	$node->safe_psql('published',
		"SELECT diagsync.push(local_id, on_conflict => 'both'), diagsync.pull(local_id, on_conflict => 'newest') FROM diagsync.status_all() WHERE state <> 'unlinked'");
	$node->safe_psql('published',
		"SELECT diagsync.create_diagram('S', 'private', 's'), diagsync.add_member('s', 'sub:a', 'reader'), diagsync.add_member('s', 'sub:a', 'admin'), diagsync.remove_member('s', 'sub:a')");
	$node->safe_psql('published',
		"SELECT diagsync.revoke_token(split_part(diagsync.create_token('s'), '.', 1)), diagsync.set_owner('s', 'sub:a'), diagsync.set_storage_type('s', 'public'), diagsync.set_merge_policy('s', '{}')");
	$node->safe_psql('published', 'ALTER DATABASE published SET diagsync.sync_log_days = 0');
	cmp_ok($node->safe_psql('published', 'SELECT diagsync.prune()'), '>', 0, "prune() under a publication $publication");
	is_sql($node, 'published', 'SELECT count(*) FROM diagsync.sync_log', '0', '... drops old entries of the log, too');
	$node->safe_psql('published', 'SELECT diagsync.unlink(local_id) FROM diagsync.status_all()');
	is_sql($node, 'published', 'SELECT count(diagsync.drop_diagram(id)::text) > 40 FROM diagsync.directory', 't', '... and everything can be dropped');
	cmp_ok($node->safe_psql('published', "SELECT count(*) FROM pg_logical_slot_get_binary_changes('published', NULL, NULL, 'proto_version', '1', 'publication_names', 'everything')"),
		'>', 1000, '... all of which is decoded');
	$node->safe_psql('published', "SELECT pg_drop_replication_slot('published')");
	$node->safe_psql('postgres', 'DROP DATABASE published');
}

# ---- DROP EXTENSION ----------------------------------------------------------------------

new_database($node, 'dropped');
my $made   = "SELECT diagsync.create_diagram('L', id => 'l'); SELECT diagsync.put('l', '[{\"id\": \"a\"}]'); SELECT diagsync.share('l', 'p')";
my $writer = background($node, 'dropped');
my $admin  = background($node, 'dropped');
$writer->query_safe($made);
$writer->query_safe("BEGIN; SELECT diagsync.put('l', '[{\"id\": \"b\"}]'); SELECT diagsync.push('l')");
my $pid = $admin->query_safe('SELECT pg_backend_pid()');
blocked_session($admin, 'DROP EXTENSION diagsync;');
wait_blocked($node, $pid);
is($writer->query_safe("SELECT state FROM diagsync.status('l'); COMMIT"), 'in_sync', 'DROP EXTENSION waits for a sync that runs');
($out, $err) = result_of($admin);
is($err, '', '... and then drops all');
$writer->query("SELECT diagsync.push('l')");
like($writer->{stderr}, qr/schema "diagsync" does not exist/, '... which the next call is told');
$writer->{stderr} = '';
$admin->query_safe('CREATE EXTENSION diagsync');
is($writer->query_safe("$made; SELECT diagsync.remove('l', '{a}'); SELECT deleted FROM diagsync.push('l')"), "l\n1\np\n1\n1",
	'made again by another session, it works in one that has used the former');
$_->quit foreach ($writer, $admin);

$_->stop foreach ($node, $new);
done_testing();
