# Every way of restoring gives the same status for every diagram, and syncs go on as
# they would have: INSERTs instead of COPY, --clean over what is there, one diagram's
# rows copied in one transaction; into a new cluster, another database of the
# cluster, and the same one. (Plain, custom, parallel and data-only dumps are in 002 and
# 003.) And what is inserted afterwards is an edit.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Diagsync;

my $node = new_node('ways');
my $new  = new_node('ways_new');
my $dir  = PostgreSQL::Test::Utils::tempdir;
my @restored;

sub same_status
{
	my ($where, $db, $before, $what) = @_;
	same_picture(picture($where, $db), $before, $what);
	push @restored, [ $where, $db, $what ];
	return;
}

sub psql_file
{
	my ($where, $db, $file, @options) = @_;
	return ('psql', '-Xq', '-v', 'ON_ERROR_STOP=1', @options, '-f', "$dir/$file", '-d', $where->connstr($db));
}

new_database($node, 'origin');
diagrams($node, 'origin');
my $before = picture($node, 'origin');

# ---- INSERTs instead of COPY: each a transaction of its own, and all in one

command_ok([ 'pg_dump', '-d', $node->connstr('origin'), '--inserts', '-f', "$dir/inserts" ], 'pg_dump --inserts');
command_ok([ 'pg_dump', '-d', $node->connstr('origin'), '--data-only', '--column-inserts', '--rows-per-insert=100', '-f', "$dir/data" ],
	'pg_dump --data-only --column-inserts');
foreach my $where ($node, $new)
{
	my $cluster = $where == $node ? 'same cluster' : 'new cluster';

	$where->safe_psql('postgres', "CREATE DATABASE $_") foreach qw(inserts one);
	new_database($where, 'data');
	command_ok([ psql_file($where, 'inserts', 'inserts') ], "$cluster, --inserts: restored");
	same_status($where, 'inserts', $before, "$cluster, --inserts");
	command_ok([ psql_file($where, 'one', 'inserts', '--single-transaction') ], "$cluster, --inserts in one transaction: restored");
	same_status($where, 'one', $before, "$cluster, --inserts in one transaction");
	command_ok([ psql_file($where, 'data', 'data') ], "$cluster, data only, by INSERT: restored");
	same_status($where, 'data', $before, "$cluster, data only, by INSERT");
}

# ---- --clean: over a database that went on since, and over an empty one

command_ok([ 'pg_dump', '-d', $node->connstr('origin'), '--format=custom', '-f', "$dir/custom" ], 'pg_dump --format=custom');
command_ok([ 'pg_dump', '-d', $node->connstr('origin'), '--clean', '--if-exists', '-f', "$dir/clean" ], 'pg_dump --clean');
$node->safe_psql('postgres', "CREATE DATABASE $_ TEMPLATE origin") foreach qw(over parallel);
$new->safe_psql('postgres', 'CREATE DATABASE over');
foreach my $db (qw(over parallel))
{
	$node->safe_psql($db, edit_sql('in-sync-p', 'since') . "SELECT diagsync.pull('in-sync'); SELECT diagsync.push('pending-local');"
		  . edit_sql('agreed', 'since') . "SELECT diagsync.drop_diagram('two-p')");
}
command_ok([ psql_file($node, 'over', 'clean') ], '--clean over what went on: restored');
same_status($node, 'over', $before, '--clean over what went on');
command_ok([ psql_file($new, 'over', 'clean', '--single-transaction') ], '--clean over nothing: restored');
same_status($new, 'over', $before, '--clean over nothing');
command_ok([ 'pg_restore', '--exit-on-error', '--clean', '--if-exists', '-j4', '-d', $node->connstr('parallel'), "$dir/custom" ],
	'pg_restore --clean in parallel over what went on: restored');
same_status($node, 'parallel', $before, 'pg_restore --clean in parallel');

# ---- The rows of one diagram, in one transaction

my @tables = (
	'diagsync.directory',       'diagsync.member',             'diagsync.access_token', 'diagsync_local.base',
	'diagsync_local.entity',    'diagsync_private.entity',     'diagsync_private.tombstone',
	'diagsync_public.entity',   'diagsync_public.tombstone');

# One file for each table: the rows of these diagrams. Returns what puts them back;
# the entries come first, last or in between.
sub rows_of
{
	my ($name, @diagrams) = @_;
	my $ids = join(', ', map { "'$_'" } @diagrams);
	my @back;

	foreach my $table (@tables)
	{
		my $id   = $table eq 'diagsync.directory' ? 'id' : 'diagram_id';
		my $file = "$dir/$name.$table";
		$node->safe_psql('origin', "COPY (SELECT * FROM $table WHERE $id IN ($ids)) TO '$file'");
		push @back, "COPY $table FROM '$file';";
	}
	return (
		first   => join('', 'BEGIN;', @back, 'COMMIT;'),
		last    => join('', 'BEGIN;', @back[ 1 .. $#back ], $back[0], 'COMMIT;'),
		between => join('', 'BEGIN;', @back[ 1 .. 4 ], $back[0], @back[ 5 .. $#back ], 'COMMIT;'));
}

sub states
{
	my ($where, $db, @diagrams) = @_;
	my $ids = join(', ', map { "'$_'" } @diagrams);
	return $where->safe_psql($db, "SELECT s.* FROM diagsync.status_all() AS s WHERE local_id IN ($ids) ORDER BY 1;"
		  . " SELECT d.id, c.* FROM diagsync.directory AS d, diagsync.changes(d.id) AS c WHERE d.id IN ($ids) AND d.storage_type = 'local' ORDER BY 1, 2;"
		  . " SELECT * FROM diagsync.entity WHERE diagram_id IN ($ids) ORDER BY diagram_id, id;"
		  . " SELECT * FROM diagsync_local.base WHERE diagram_id IN ($ids) ORDER BY 1, 2");
}

# What a restore does not keep: revisions, where a link lives that leads to it.
sub without_revisions
{
	my $states = shift;
	$states =~ s/^((?:local|public|private)\|.*)\|\d+\|(\d{4}-\d\d-\d\d [^|]*\|[^|]*)$/$1|$2/gm;
	return $states;
}

foreach my $case ([ 'conflicts', 'conflicts-p' ], [ 'private', 'private-q' ], [ 'pending-both', 'pending-both-p' ], [ 'references', 'references-p' ])
{
	my ($local, $far) = @$case;
	my %back   = rows_of($local, $local, $far);
	my $states = states($node, 'origin', $local, $far);
	like($states, qr/^\Q$local\E\|/, "$local: it is there");

	foreach my $order (sort keys %back)
	{
		my $db = "copy_$order";
		foreach my $where ($node, $new)
		{
			new_database($where, $db) if $where->safe_psql('postgres', "SELECT count(*) FROM pg_database WHERE datname = '$db'") == 0;
			$where->safe_psql($db, $back{$order});
			is(states($where, $db, $local, $far), $states, "$local: its rows, its entry $order, in " . ($where == $node ? 'another database' : 'a new cluster'));
		}
	}
	# Into the same database, after both ends were dropped, or one.
	$node->safe_psql('postgres', "CREATE DATABASE same TEMPLATE origin");
	$node->safe_psql('same', "SELECT diagsync.drop_diagram('$local'); SELECT diagsync.drop_diagram('$far');");
	$node->safe_psql('same', $back{first});
	is(states($node, 'same', $local, $far), $states, "$local: its rows in the same database");
	my %alone = rows_of("$local.alone", $local);
	$node->safe_psql('same', "SELECT diagsync.drop_diagram('$local')");
	$node->safe_psql('same', $alone{between});
	is(states($node, 'same', $local, $far), $states, "$local: those of the local end alone");
	same_picture(picture($node, 'same'), $before, "$local: in the same database");
	push @restored, [ $node, 'same', 'rows in the same database' ] if $local eq 'references';
	$node->safe_psql('postgres', 'DROP DATABASE same') if $local ne 'references';
}

# The shared end alone, while an established link leads to it: it is stamped anew, so
# that the link looks at it.
my %far = rows_of('two-p', 'two-p');
$node->safe_psql('postgres', 'CREATE DATABASE far TEMPLATE origin');
$node->safe_psql('far', 'DELETE FROM diagsync_public.entity WHERE diagram_id = \'two-p\'; DELETE FROM diagsync_public.tombstone WHERE diagram_id = \'two-p\'');
my $far_rows = join('', grep { /public/ } split(/(?<=;)/, $far{first}));
$node->safe_psql('far', "BEGIN; $far_rows COMMIT");
is(without_revisions(states($node, 'far', 'two', 'two-other', 'two-p')), without_revisions(states($node, 'origin', 'two', 'two-other', 'two-p')),
	'the shared rows put back under established links');
is_sql($node, 'far', "SELECT count(DISTINCT rev) FROM diagsync_public.entity WHERE diagram_id = 'two-p'", '1', '... have the revision of now');

# ---- What is inserted afterwards

# Rows of a restored diagram are those of the dump until it has synced; then, and with
# a time of their own at once, they are edits.
foreach my $where ($node, $new)
{
	my $db = 'inserts';
	$where->safe_psql($db, "INSERT INTO diagsync_local.entity (diagram_id, id, doc, modified_at) VALUES ('in-sync', 'timed', '{}', '2020-01-01')");
	is_sql($where, $db, "SELECT entity_id, side FROM diagsync.changes('in-sync')", 'timed|local', 'a row with a time of its own is an edit');
	$where->safe_psql($db, "SELECT diagsync.push('in-sync')");
	$where->safe_psql($db, "CREATE TABLE staging (LIKE diagsync_local.entity INCLUDING DEFAULTS); INSERT INTO staging (diagram_id, id, doc) VALUES ('in-sync', 'staged', '{}')");
	$where->safe_psql($db, 'INSERT INTO diagsync_local.entity SELECT * FROM staging');
	is_sql($where, $db, "SELECT entity_id, side FROM diagsync.changes('in-sync')", 'staged|local', 'so is one from a staging table, once it has synced');
	is_sql($where, $db, "SELECT documents_updated FROM diagsync.push('in-sync')", '1', '... which is pushed');
	is_sql($where, $db, "SELECT count(*) FROM diagsync_public.entity WHERE diagram_id = 'in-sync-p' AND id IN ('timed', 'staged')", '2', '... as the other was');
	@restored = grep { $_->[0] != $where || $_->[1] ne $db } @restored;
}

# ---- The next syncs

my $expected = carry_on($node, 'origin');
same_picture(carry_on($_->[0], $_->[1]), $expected, "$_->[2], then synced") foreach @restored;

$_->stop foreach ($node, $new);
done_testing();
