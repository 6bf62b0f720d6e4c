# Rows restored into a database that has the extension already: a data-only
# dump, and rows that come back where a link has a "seen" that is valid.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Diagsync;

my $node = new_node('beside');
my $dir  = PostgreSQL::Test::Utils::tempdir;

# ---- A data-only dump into an extension that exists

new_database($node, 'origin');
diagrams($node, 'origin');
my $before = picture($node, 'origin');
command_ok([ 'pg_dump', '-d', $node->connstr('origin'), '--data-only', '-f', "$dir/data.sql" ], 'a data-only dump');
command_ok([ 'pg_dump', '-d', $node->connstr('origin'), '--data-only', '--format=custom', '-f', "$dir/data" ], '... and a custom one');

new_database($node, $_) foreach qw(plain custom turned);
command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-f', "$dir/data.sql", '-d', $node->connstr('plain') ], 'restored');
same_picture(picture($node, 'plain'), $before, 'data only');
command_ok([ 'pg_restore', '--exit-on-error', '-j4', '-d', $node->connstr('custom'), "$dir/data" ], 'restored in parallel');
same_picture(picture($node, 'custom'), $before, 'data only, in parallel');

# The tables in the opposite order: what is in a parallel restore first is
# nobody's choice.
command_ok(
	[ 'bash', '-c',
		"pg_restore -l '$dir/data' | grep 'TABLE DATA' | tac > '$dir/list'"
		  . " && pg_restore --exit-on-error -L '$dir/list' -d '" . $node->connstr('turned') . "' '$dir/data'" ],
	'restored in the opposite order');
same_picture(picture($node, 'turned'), $before, 'the opposite order');

my $expected = carry_on($node, 'origin');
same_picture(carry_on($node, $_), $expected, "data only ($_), then synced") foreach qw(plain custom turned);

# ---- Shared rows that come back where a link has seen the shared copy

new_database($node, 'd');
$node->safe_psql('d', "SELECT diagsync.create_diagram('a', 'local', 'a'); SELECT diagsync.put('a', " . entities(6) . ");"
	  . " SELECT diagsync.share('a', 'a-p'); SELECT diagsync.clone('a-p', 'b')");
$node->safe_psql('d', upd('a-p', 'e3', 'P') . ins('a-p', 'e7', 'P') . del('a-p', 'e6')
	  . "SELECT diagsync.pull('a'); SELECT diagsync.pull('b');");
command_ok([ 'pg_dump', '-d', $node->connstr('d'), '--data-only', '-t', 'diagsync_public.entity', '--inserts',
		'--on-conflict-do-nothing', '-f', "$dir/entity.sql" ], 'a dump of the shared entities');
like(slurp_file("$dir/entity.sql"), qr/INSERT INTO diagsync_public.entity .*'e7'/, '... has them');

# Deleted since, and the deletion pulled by one link.
$node->safe_psql('d', del('a-p', 'e3') . del('a-p', 'e7') . upd('a-p', 'e2', 'P') . "SELECT diagsync.pull('a')");
is_sql($node, 'd', "SELECT state FROM diagsync.status('a')", 'in_sync', 'one link has seen the deletions');
command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-f', "$dir/entity.sql", '-d', $node->connstr('d') ], 'the deleted rows are restored');
is_sql($node, 'd', "SELECT entity_id, side, public_change, conflict, public ->> 'v' FROM diagsync.changes('a')",
	"e3|public|insert||P\ne7|public|insert||P", '... and are not missed, though their revisions are old');
is_sql($node, 'd', "SELECT entity_id, side, public_change FROM diagsync.changes('b')", 'e2|public|update',
	'... nor is anything by a link that had not seen the deletions');
is_sql($node, 'd', "SELECT documents_updated FROM diagsync.pull('a')", '2', 'the next pull takes them');
is_sql($node, 'd', "SELECT l.id FROM diagsync_local.entity l FULL JOIN diagsync_public.entity p ON l.id = p.id"
	  . " WHERE l.diagram_id = 'a' AND p.diagram_id = 'a-p' AND l.doc IS DISTINCT FROM p.doc", '', '... as they are');

# An older version put in the place of a newer one: COPY after a deletion, in
# one transaction.
$node->safe_psql('d', "CREATE TABLE kept AS SELECT * FROM diagsync_public.entity WHERE diagram_id = 'a-p' AND id = 'e1'");
$node->safe_psql('d', upd('a-p', 'e1', 'newer') . "SELECT diagsync.pull('a'); SELECT diagsync.pull('b')");
$node->safe_psql('d', "COPY kept TO '$dir/kept'; BEGIN; " . del('a-p', 'e1') . " COPY diagsync_public.entity FROM '$dir/kept'; COMMIT;");
is_sql($node, 'd', "SELECT local_id, local_changes, public_changes FROM diagsync.status_all() ORDER BY 1",
	"a|0|1\nb|0|1", 'an old version restored over a newer one is a public change');
is_sql($node, 'd', "SELECT documents_updated FROM diagsync.pull('a'); SELECT doc ->> 'v' FROM diagsync_local.entity WHERE diagram_id = 'a' AND id = 'e1'",
	"1\nbase", '... that a pull takes');

# ---- Local rows that come back into a linked diagram are edits

$node->safe_psql('d', "SELECT diagsync.pull('b'); COPY (SELECT * FROM diagsync_local.entity WHERE diagram_id = 'a' AND id = 'e4') TO '$dir/local'");
is_sql($node, 'd', 'SELECT count(*) FROM diagsync_local.base', '0', 'all is in sync');
# Deleted here and there, and put back at both ends: that is equal.
$node->safe_psql('d',
	"COPY (SELECT * FROM diagsync_public.entity WHERE id = 'e4') TO '$dir/public';"
	  . del('a', 'e4') . "SELECT diagsync.push('a'); SELECT diagsync.pull('b');"
	  . "COPY diagsync_local.entity FROM '$dir/local'; COPY diagsync_public.entity FROM '$dir/public';");
is_sql($node, 'd', 'SELECT id, doc FROM diagsync_local.base', 'e4|', 'a local row that comes back gets a base row');
is_sql($node, 'd', "SELECT local_id, local_changes, public_changes FROM diagsync.status_all() ORDER BY 1",
	"a|0|0\nb|0|1", '... and is no change where both ends have it');
is_sql($node, 'd', "SELECT documents_updated FROM diagsync.pull('b')", '1', 'the other link takes what was restored in the shared copy');

# A revision that lies in the future is lowered, so that later edits are not
# below it.
my $future = $node->safe_psql('d', 'SELECT pg_current_xact_id()::text::bigint + 1000000');
$node->safe_psql('d', "INSERT INTO diagsync_public.entity (diagram_id, id, doc, rev, modified_at) VALUES ('a-p', 'future', '{\"v\": 1}', $future, '2020-01-01')");
is_sql($node, 'd', "SELECT rev < $future - 900000 FROM diagsync_public.entity WHERE id = 'future'", 't', 'a revision in the future is lowered');
is_sql($node, 'd', "SELECT documents_updated FROM diagsync.pull('a'); SELECT documents_updated FROM diagsync.pull('b')", "1\n1", '... and classified once');
is_sql($node, 'd', "SELECT DISTINCT state FROM diagsync.status_all()", 'in_sync', 'all is in sync');
$node->safe_psql('d', upd('a-p', 'future', 'edited'));
is_sql($node, 'd', "SELECT DISTINCT public_changes FROM diagsync.status_all()", '1', '... and a later edit of it is seen');

$node->stop;
done_testing();
