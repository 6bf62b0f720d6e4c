# A dump restored gives the same status for every diagram, and syncs go on as
# they would have: in another database of the cluster, in the same one after
# DROP EXTENSION, and on a new cluster; plain, custom, in parallel, in one
# transaction.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Diagsync;

my $node = new_node('origin');
my $dir  = PostgreSQL::Test::Utils::tempdir;

new_database($node, 'origin');
diagrams($node, 'origin');
my $before = picture($node, 'origin');
my $log    = "SELECT count(*), md5(string_agg(l::text, E'\\n' ORDER BY l::text)) FROM diagsync.sync_log AS l";
my $logged = $node->safe_psql('origin', $log);
cmp_ok(scalar(split(/\n/, $before->{status})), '>', 20, 'there are many linked diagrams');
cmp_ok(scalar(split(/\n/, $before->{conflicts})), '>', 8, 'and conflicts');

sub dump_of
{
	my ($db, $format) = @_;
	my $file = "$dir/$db.$format";
	command_ok([ 'pg_dump', '-d', $node->connstr($db), "--format=$format", '-f', $file ],
		"pg_dump --format=$format of $db");
	return $file;
}

my $plain  = dump_of('origin', 'plain');
my $custom = dump_of('origin', 'custom');
my %restored;

sub restored_is_the_same
{
	my ($name, $where, $db, @command) = @_;

	# psql, too, stops at the first error.
	command_ok([ @command, '-d', $where->connstr($db) ], "$name: restored");
	is_sql($where, $db, $log, $logged, "$name: the log of syncs");
	same_picture(picture($where, $db), $before, $name);
	$restored{$name} = [ $where, $db ];
	return;
}

my @psql    = ('psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-f', $plain);
my @restore = ('pg_restore', '--exit-on-error');
my $new     = new_node('new');

foreach my $where ($node, $new)
{
	my $cluster = $where == $node ? 'same cluster' : 'new cluster';

	$where->safe_psql('postgres', "CREATE DATABASE $_") foreach qw(plain one parallel);
	restored_is_the_same("$cluster, plain", $where, 'plain', @psql);
	restored_is_the_same("$cluster, one transaction", $where, 'one', @psql, '--single-transaction');
	restored_is_the_same("$cluster, in parallel", $where, 'parallel', @restore, '-j4', $custom);
}

# The same database, after DROP EXTENSION. (A copy made with TEMPLATE holds the
# same transaction ids; it is one more kind of copy.)
$node->safe_psql('postgres', "CREATE DATABASE $_ TEMPLATE origin") foreach qw(template dropped);
same_picture(picture($node, 'template'), $before, 'CREATE DATABASE TEMPLATE');
$restored{'CREATE DATABASE TEMPLATE'} = [ $node, 'template' ];
my $dropped = dump_of('dropped', 'custom');
$node->safe_psql('dropped', 'DROP EXTENSION diagsync');
restored_is_the_same('same database after DROP EXTENSION', $node, 'dropped', @restore, '-j4', $dropped);

# A dump of what was restored, restored.
my $again = "$dir/again";
command_ok([ 'pg_dump', '-d', $new->connstr('parallel'), '--format=custom', '-f', $again ], 'dumped again');
$node->safe_psql('postgres', 'CREATE DATABASE again');
restored_is_the_same('there and back', $node, 'again', @restore, '-j4', $again);

# Access is what it was: the policies, the grants, a member's and a token's rights.
my @asked = (
	[ 'a member reads', "SET ROLE member; SELECT count(*) FROM diagsync_private.entity WHERE diagram_id = 'guarded'", 1 ],
	[ 'the bearer of a token reads', "SET ROLE stranger; SET diagsync.token = 'TOKEN'; SELECT count(*) FROM diagsync_private.entity WHERE diagram_id = 'guarded'", 1 ],
	[ 'a stranger does not', "SET ROLE stranger; SELECT count(*) FROM diagsync_private.entity WHERE diagram_id = 'guarded'", 0 ]);
$_->safe_psql('postgres', 'CREATE ROLE member; CREATE ROLE stranger') foreach ($node, $new);
my $token = $node->safe_psql('origin', "DO \$\$ BEGIN PERFORM diagsync.create_diagram('Guarded', 'private', 'guarded'),"
	  . " diagsync.put('guarded', '[{\"id\": \"secret\"}]'), diagsync.add_member('guarded', 'role:member', 'reader'),"
	  . " diagsync.grant_usage('member'), diagsync.grant_usage('stranger'); END \$\$;"
	  . " SELECT diagsync.create_token('guarded')");
my $guarded = dump_of('origin', 'tar');
foreach my $where ($node, $new)
{
	$where->safe_psql('postgres', 'CREATE DATABASE guarded');
	command_ok([ @restore, $guarded, '-d', $where->connstr('guarded') ], 'restored with members, tokens and grants');
	foreach my $ask (@asked)
	{
		my ($name, $sql, $answer) = @$ask;
		$sql =~ s/TOKEN/$token/;
		is_sql($where, 'guarded', $sql, $answer, "after that, $name");
	}
}
$node->safe_psql('origin', "SELECT diagsync.drop_diagram('guarded')");

# The next syncs.
my $expected = carry_on($node, 'origin');
is_sql($node, 'origin', 'SELECT DISTINCT state FROM diagsync.status_all(); SELECT count(*) FROM diagsync_local.base', "in_sync\n0",
	'the original comes to be in sync');
foreach my $name (sort keys %restored)
{
	my $got = carry_on(@{ $restored{$name} });
	same_picture($got, $expected, "$name, then synced");
}

# A diagram from before storage types can be given its own, as ever.
foreach my $place ([ $node, 'origin' ], [ $new, 'parallel' ])
{
	my ($where, $db) = @$place;
	my ($status, $out, $err) = $where->psql($db, "SELECT diagsync.clone('legacy-p', 'legacy')");
	isnt($status, 0, 'a legacy diagram cannot be cloned');
	like($err, qr/set_storage_type/, '... and the error says what to do');
	$where->safe_psql($db, "SELECT diagsync.set_storage_type('legacy-p', 'public')");
	$where->safe_psql($db, "SELECT diagsync.clone('legacy-p', 'legacy')");
	is_sql($where, $db, "SELECT id, doc ->> 'v' FROM diagsync_local.entity WHERE diagram_id = 'legacy'", 'e1|old',
		'... which makes it a public one');
}

$_->stop foreach ($node, $new);
done_testing();
