# A restored revision can equal the restoring transaction's id by chance. Beside rows of
# other revisions it is a restored row all the same; where the statement brings no others it
# is taken for an edit, and nothing is lost: what differs is shown as a conflict.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Diagsync;

my $node = new_node('chance');
my $new  = new_node('chance_new');
my $dir  = PostgreSQL::Test::Utils::tempdir;
my $rev  = 6000;

# On the original, one transaction writes everything, with a chosen id: the
# local rows, the shared ones, base rows and tombstones.
new_database($node, 'd');
$node->safe_psql('d', "SELECT diagsync.create_diagram('$_', 'local', '$_'); SELECT diagsync.share('$_', '$_-p')") foreach qw(a b);
# Others have revisions of their own.
$node->safe_psql('d', "SELECT diagsync.create_diagram('other', 'local', 'other'); SELECT diagsync.put('other', " . entities(3) . "); SELECT diagsync.share('other', 'other-p')");
burn($node, 'd', $rev);
$node->safe_psql('d',
	"BEGIN; SELECT diagsync.put(d, " . entities(10) . ") FROM unnest('{a,b}'::text[]) d;"
	  . " SELECT diagsync.push('a'); SELECT diagsync.push('b');"
	  . upd('a', 'e1', 'L') . del('a', 'e2') . upd('a-p', 'e3', 'P') . del('a-p', 'e4') . upd('a', 'e5', 'L') . upd('a-p', 'e5', 'P')
	  . 'COMMIT;');
is_sql($node, 'd', "SELECT DISTINCT rev FROM diagsync.entity WHERE diagram_id NOT LIKE 'other%' UNION SELECT rev FROM diagsync_public.tombstone", $rev,
	'all that was written has the chosen revision');
is_sql($node, 'd', "SELECT entity_id, side, conflict FROM diagsync.changes('a')",
	"e1|local|\ne2|local|\ne3|public|\ne4|public|\ne5|both|update_update", 'it is in several states');
my $before = picture($node, 'd');
command_ok([ 'pg_dump', '-d', $node->connstr('d'), '-f', "$dir/dump" ], 'dumped');

# On the new cluster, the transaction that restores it has that id.
$new->safe_psql('postgres', 'CREATE DATABASE whole');
burn($new, 'whole', $rev);
open(my $dump, '>>', "$dir/dump") or die $!;
print $dump "CREATE TABLE public.restorer AS SELECT pg_current_xact_id()::text::bigint AS id;\n";
close $dump;
command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-1', '-f', "$dir/dump", '-d', $new->connstr('whole') ], 'restored in one transaction');
is_sql($new, 'whole', 'SELECT id FROM public.restorer', $rev, '... whose id is the revision of all that it restored');
same_picture(picture($new, 'whole'), $before, 'restored by that transaction');

# Where every row has that revision.
$new->safe_psql('postgres', 'CREATE DATABASE alone');
$new->safe_psql('alone', 'CREATE EXTENSION diagsync');
my $tables = "COPY diagsync.directory FROM '$dir/directory'; COPY diagsync_local.base FROM '$dir/base'; COPY diagsync_local.entity FROM '$dir/local';"
  . " COPY diagsync_public.entity FROM '$dir/public'; COPY diagsync_public.tombstone FROM '$dir/tombstone';";
$node->safe_psql('d', "COPY (SELECT * FROM diagsync.directory WHERE id LIKE 'a%') TO '$dir/directory'; COPY (SELECT * FROM diagsync_local.base WHERE diagram_id = 'a') TO '$dir/base';"
	  . " COPY (SELECT * FROM diagsync_local.entity WHERE diagram_id = 'a') TO '$dir/local'; COPY (SELECT * FROM diagsync_public.entity WHERE diagram_id = 'a-p') TO '$dir/public';"
	  . " COPY (SELECT * FROM diagsync_public.tombstone WHERE diagram_id = 'a-p') TO '$dir/tombstone'");
burn($new, 'alone', $rev + 100);
my $own = $new->safe_psql('alone', "BEGIN; $tables SELECT diagsync.revision(); ROLLBACK");
# The files with the revision of the transaction after the next.
foreach my $file ('local', 'public', 'tombstone')
{
	my $rows = slurp_file("$dir/$file");
	my $next = $own + 1;
	$rows =~ s/\t$rev\t/\t$next\t/g;
	open(my $out, '>', "$dir/$file") or die $!;
	print $out $rows;
	close $out;
}
is_sql($new, 'alone', "BEGIN; $tables SELECT diagsync.revision() - $own; COMMIT", '1', 'rows that all have the revision of the transaction that restores them');
is_sql($new, 'alone', "SELECT entity_id, side, conflict FROM diagsync.changes('a')",
	"e1|local|\ne2|local|\ne3|both|insert_insert\ne4|local|\ne5|both|update_update", '... are taken for edits: an edit of the other end is shown as a conflict');

# Row by row: what COPY brings into diagrams whose link is established are edits.
new_database($new, 'd');
$new->safe_psql('d', "SELECT diagsync.create_diagram('a', 'local', 'a'); SELECT diagsync.put('a', " . entities(3) . "); SELECT diagsync.share('a', 'a-p')");
foreach my $kind (qw(timed own))
{
	my $at = $kind eq 'own' ? 'now()' : "'2020-01-01'";
	$new->safe_psql('d',
		"BEGIN; CREATE TEMPORARY TABLE t AS SELECT 'a' AS diagram_id, '$kind'::text AS id, '{\"v\": 1}'::jsonb AS doc,"
		  . " diagsync.revision() AS rev, $at\::timestamptz AS modified_at, 'role:somebody'::text AS modified_by;"
		  . " COPY t TO '$dir/$kind'; COPY diagsync_local.entity FROM '$dir/$kind'; COMMIT;");
}
is_sql($new, 'd', 'SELECT id FROM diagsync_local.base ORDER BY id', "own\ntimed", 'a row with this id is an edit, whatever its time');

# A shared row restored so, where the link's own revision is left out of what it
# classifies: after a push of the same transaction.
$new->safe_psql('d', "SELECT diagsync.push('a'); SELECT diagsync.pull('a', on_conflict => 'public')");
$new->safe_psql('d',
	'BEGIN; ' . upd('a', 'e1', 'L') . "SELECT diagsync.push('a');"
	  . "CREATE TEMPORARY TABLE t AS SELECT 'a-p' AS diagram_id, 'shared'::text AS id, '{\"v\": 1}'::jsonb AS doc,"
	  . " diagsync.revision() AS rev, '2020-01-01'::timestamptz AS modified_at, 'role:somebody'::text AS modified_by;"
	  . " COPY t TO '$dir/shared'; COPY diagsync_public.entity FROM '$dir/shared'; COMMIT;");
is_sql($new, 'd', "SELECT entity_id, side FROM diagsync.changes('a') WHERE entity_id IN ('e1', 'shared')", 'shared|public',
	'a shared row restored by a transaction that has pushed is classified');

$_->stop foreach ($node, $new);
done_testing();
