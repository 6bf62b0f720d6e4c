# Whatever a function is about, it reacts to a cancel at once: each is given
# much to do, and a timeout that ends it at one moment after the other.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);
use Diagsync;

# So many entities, so long may it take from the timeout to the error, in seconds.
my $many = 100_000;
my $reacts = 0.7;

my $node = new_node('latency', conf => "max_wal_size = 4GB\nfsync = off\nwork_mem = '64MB'\n");
new_database($node, 'd');
$node->safe_psql('d', <<"SQL");
CREATE TABLE entities AS SELECT jsonb_agg(jsonb_build_object('id', 'e' || n, 'text', md5(n::text))) AS a, array_agg('e' || n) AS ids FROM generate_series(1, $many) AS n;
CREATE TABLE million AS SELECT jsonb_agg(jsonb_build_object('id', 'e' || n)) AS a FROM generate_series(1, 1000000) AS n;
SELECT diagsync.create_diagram('L', id => 'full'), diagsync.create_diagram('L', id => 'empty'), diagsync.put('full', a) FROM entities;
SELECT diagsync.share('full', 'full-p');
SELECT diagsync.clone('full-p', 'copy');
SELECT diagsync.create_diagram('L', id => 'alone'), diagsync.put('alone', a) FROM entities;
UPDATE diagsync_local.entity SET doc = doc || '{"v": 1}' WHERE diagram_id = 'full';
UPDATE diagsync_public.entity SET doc = doc || '{"w": 1}' WHERE diagram_id = 'full-p';
SELECT count(diagsync.create_diagram('D', 'public', id => 'p' || n)) FROM generate_series(1, 4000) AS n;
INSERT INTO diagsync_public.entity (diagram_id, id, doc) SELECT 'p' || n, 'e', '{}' FROM generate_series(1, 4000) AS n;
DELETE FROM diagsync_public.entity WHERE diagram_id ~ '^p';
SELECT diagsync.set_merge_policy('copy', '{"references": ["/text"]}');
SQL

foreach my $call (
	"put('empty', a) FROM entities",
	"put('empty', a) FROM million",
	"put('full', (SELECT jsonb_agg(e || '{\"x\": 1}') FROM jsonb_array_elements(a) AS e)) FROM entities",
	"remove('alone', ids) FROM entities",
	"share('alone', 'alone-p')",
	"clone('full-p', 'new')",
	"push('full', on_conflict => 'local')",
	"push('full', on_conflict => 'newest', dry_run => true)",
	"pull('full', on_conflict => 'public')",
	"pull('copy')",
	"status('full')",
	"changes('full')",
	"conflicts('full')",
	"refresh('full')",
	"link('alone', 'full-p')",
	"set_storage_type('full-p', 'private')",
	"drop_diagram('full-p')",
	"drop_diagram('alone')",
	"prune('0 seconds')",
	"unlink('full')",
  )
{
	my $slowest = 0;
	my $cancelled = 0;

	foreach my $after (20, 150, 400, 900, 1600)
	{
		my $start = time;
		my ($ret, $out, $err) = $node->psql('d', "BEGIN;\n\\set VERBOSITY sqlstate\nSET LOCAL statement_timeout = '${after}ms';\nSELECT diagsync.$call \\g /dev/null\nROLLBACK;", on_error_stop => 0);
		my $late = time - $start - $after / 1000;

		last if $err !~ /57014/;
		$cancelled++;
		$slowest = $late if $late > $slowest;
	}
	cmp_ok($cancelled, '>', 0, "$call takes long enough to be cancelled");
	cmp_ok($slowest, '<', $reacts, sprintf('... and reacts within %.2f s', $slowest));
}

$node->stop;
done_testing();
