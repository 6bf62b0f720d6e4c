# An earlier copy of the cluster's files, started beside it: it has the same
# system identifier, and what the original has seen since lies in its future.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Diagsync;

my $node = new_node('pit_origin', streaming => 1);
my $dir  = PostgreSQL::Test::Utils::tempdir;
my $next = 'SELECT pg_snapshot_xmax(pg_current_snapshot())';

new_database($node, 'd');
diagrams($node, 'd');
my $early = picture($node, 'd');
$node->backup('early');

my $copy = PostgreSQL::Test::Cluster->new('pit_copy');
$copy->init_from_backup($node, 'early');
$copy->start;
is_sql($copy, 'd', 'SELECT system_identifier FROM pg_control_system()',
	$node->safe_psql('d', 'SELECT system_identifier FROM pg_control_system()'), 'the copy has the same system identifier');
same_picture(picture($copy, 'd'), $early, 'the copy');

# ---- The original goes on: syncs, edits, and uses up transaction ids

burn($node, 'd', 5000);
$node->safe_psql('d', "SELECT diagsync.create_diagram('late', 'local', 'late'); SELECT diagsync.put('late', " . entities(10) . ");"
	  . " SELECT diagsync.share('late', 'late-p'); SELECT diagsync.clone('late-p', 'late-other')");
# In progress in what "late" sees, and committed before the dump.
my $writer = background($node, 'd');
$writer->query_safe('BEGIN; ' . upd('late-p', 'e1', 'late'));
$node->safe_psql('d', 'SELECT pg_current_xact_id()');
$node->safe_psql('d', upd('late-p', 'e2', 'P') . "SELECT diagsync.pull('late');" . del('late-p', 'e3') . upd('late', 'e4', 'L')
	  . "SELECT diagsync.push('in-sync'); SELECT diagsync.pull('pending-both'); SELECT diagsync.push('pending-local');"
	  . "SELECT diagsync.pull('conflicts', on_conflict => 'skip');");
$writer->query_safe('COMMIT');
$writer->quit;
my $later = picture($node, 'd');
is_sql($node, 'd', "SELECT entity_id, side FROM diagsync.changes('late')", "e1|public\ne3|public\ne4|local", 'the original has edits that are not synced');
command_ok([ 'pg_dump', '-d', $node->connstr('d'), '--format=custom', '-f', "$dir/later" ], 'a dump of the later original');

# ---- ... restored into the earlier copy

my $seen = $node->safe_psql('d', 'SELECT max(pg_snapshot_xmax(seen)::text::bigint) FROM diagsync.directory');
cmp_ok($copy->safe_psql('d', $next), '<', $seen, 'what the original has seen lies in the future of the copy');
foreach my $db (qw(later edited))
{
	$copy->safe_psql('postgres', "CREATE DATABASE $db");
	command_ok([ 'pg_restore', '--exit-on-error', '-j4', '-d', $copy->connstr($db), "$dir/later" ], "restored into the earlier copy ($db)");
	same_picture(picture($copy, $db), $later, "$db, at once");
}
is_sql($copy, 'later', "SELECT (SELECT max(rev) FROM diagsync.entity) < $seen", 't', 'no revision lies in the future of the copy');

# One is edited before the copy's ids catch up with what the original had seen,
# and in part synced.
my $edits = upd('late-p', 'e5', 'P') . del('late-p', 'e6') . ins('late-p', 'new', 'P') . upd('late', 'e7', 'L')
  . upd('in-sync-p', 'e1', 'P') . del('in-sync-p', 'e2') . "SELECT diagsync.pull('late-other');" . upd('late-p', 'e8', 'P');
my $changes = "SELECT 'late', entity_id, side, conflict FROM diagsync.changes('late')"
  . " UNION ALL SELECT 'late-other', entity_id, side, conflict FROM diagsync.changes('late-other')"
  . " UNION ALL SELECT 'in-sync', entity_id, side, conflict FROM diagsync.changes('in-sync') ORDER BY 1, 2";
$copy->safe_psql('edited', $edits);
my $expected = $copy->safe_psql('edited', $changes);
is($expected, join("\n",
		'in-sync|e1|public|', 'in-sync|e2|public|',
		'late|e1|public|', 'late|e3|public|', 'late|e4|local|', 'late|e5|public|', 'late|e6|public|', 'late|e7|local|',
		'late|e8|public|', 'late|new|public|', 'late-other|e8|public|'), 'edits are seen before the ids catch up');
my $edited = picture($copy, 'edited');

# Step by step over the ids that the original's snapshots name.
my $same = 1;
foreach my $until ($seen - 30 .. $seen + 5)
{
	burn($copy, 'later', $until);
	$same &&= $copy->safe_psql('edited', $changes) eq $expected && status_of($copy, 'later') eq $later->{status};
	if (!$same)
	{
		fail("status with $until as the next transaction id, of $seen");
		last;
	}
}
ok($same, 'the status stays the same while the ids catch up');
cmp_ok($copy->safe_psql('d', $next), '>', $seen, 'they have');
same_picture(picture($copy, 'edited'), $edited, 'edited, after the ids caught up');
same_picture(picture($copy, 'later'), $later, 'later, after the ids caught up');
same_picture(picture($copy, 'd'), $early, 'the copy itself, after the ids caught up');

# The other is edited only then.
$copy->safe_psql('later', $edits);
is_sql($copy, 'later', $changes, $expected, 'edits after the ids caught up are seen');

# A third is restored only then: what the original has seen lies in the past of
# the copy by number, though the copy never went through it.
$copy->safe_psql('postgres', 'CREATE DATABASE after');
command_ok([ 'pg_restore', '--exit-on-error', '-j4', '-d', $copy->connstr('after'), "$dir/later" ], 'restored after the ids caught up');
same_picture(picture($copy, 'after'), $later, 'restored after the ids caught up');
$copy->safe_psql('after', $edits);
is_sql($copy, 'after', $changes, $expected, '... and edits after that are seen');

# And on they go, as the original does.
$node->safe_psql('d', $edits);
my $original = carry_on($node, 'd');
same_picture(carry_on($copy, 'edited'), $original, 'edited, then synced');
same_picture(carry_on($copy, 'later'), $original, 'later, then synced');
same_picture(carry_on($copy, 'after'), $original, 'restored after the ids caught up, then synced');

$_->stop foreach ($copy, $node);
done_testing();
