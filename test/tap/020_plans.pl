# Every command that diagsync runs reaches rows by their key, or a diagram's by its
# part of the key, whatever the settings of the session and the statistics of the
# tables were when its plan was made. All of the commands in the library are looked
# at, as auto_explain shows them; none of the settings reaches a trigger.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Diagsync;

my $node = new_node('plans', conf => "diagsync.max_entities = 100000\ndiagsync.create_rate_limit = 1000\ndiagsync.max_diagrams = 1000\ndiagsync.max_owner_size = 1GB\ndiagsync.sync_rate_limit = 1000\n");
my $json = JSON::PP->new;

# What users may set, each of which would change a plan.
my %settings = (
	'as they are'            => '',
	'custom plans'           => 'SET plan_cache_mode = force_custom_plan;',
	'nothing but table scans' => join('', map { "SET enable_$_ = off;" } qw(indexscan indexonlyscan bitmapscan tidscan nestloop material memoize sort)),
	'costs'                  => 'SET random_page_cost = 1e9; SET cpu_index_tuple_cost = 1e6; SET seq_page_cost = 0; SET cpu_tuple_cost = 0; SET effective_cache_size = 1;',
	'parallel, jit, cursors' => 'SET max_parallel_workers_per_gather = 8; SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0;'
	  . ' SET jit = on; SET jit_above_cost = 0; SET cursor_tuple_fraction = 1; SET from_collapse_limit = 1; SET join_collapse_limit = 1; SET geqo_threshold = 2;',
);

# Statistics at the time when the plans are made.
my %statistics = (
	'none'                => '',
	'of empty tables'     => 'VACUUM ANALYZE;',
	'of very few rows'    => "SELECT t.pair('few', '[{\"id\": \"x\"}]'); VACUUM ANALYZE;",
	'of one large diagram' => "SELECT t.pair('huge', (SELECT jsonb_agg(jsonb_build_object('id', 'e' || n)) FROM generate_series(1, 3000) AS n)); VACUUM ANALYZE;",
);

my $setup = <<'SQL';
CREATE SCHEMA t;
CREATE FUNCTION t.pair(name text, entities jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM diagsync.create_diagram(name, 'local', name), diagsync.put(name, entities), diagsync.share(name, name || '-p');
END $$;
-- What an application hangs on the tables, so that SQL writes.
CREATE FUNCTION t.nothing() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN coalesce(NEW, OLD); END $$;
CREATE FUNCTION t.again() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF pg_trigger_depth() = 1 THEN
		DELETE FROM diagsync_local.entity WHERE diagram_id = NEW.diagram_id AND id = NEW.id;
		INSERT INTO diagsync_local.entity (diagram_id, id, doc) VALUES (NEW.diagram_id, NEW.id, NEW.doc || '{"n": 1}');
	END IF;
	RETURN NULL;
END $$;
CREATE FUNCTION t.settings() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO t.seen SELECT name, setting FROM pg_settings
		WHERE name ~ '^(enable_|plan_cache_mode|jit$|geqo$|.*_cost$|effective_cache|.*collapse_limit)' ON CONFLICT DO NOTHING;
	RETURN NULL;
END $$;
CREATE FUNCTION t.edit_far() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF pg_trigger_depth() = 1 THEN
		UPDATE diagsync_public.entity SET doc = doc || '{"far": 1}' WHERE diagram_id = NEW.public_copy_id AND id = 'x';
	END IF;
	RETURN NEW;
END $$;
CREATE TABLE t.seen (name text, setting text, PRIMARY KEY (name, setting));
SQL

# All that diagsync does, one diagram after the other.
my $work = <<'SQL';
SELECT t.pair('a', '[{"id":"x"},{"id":"y"},{"id":"z"},{"id":"w"},{"id":"box"},{"id":"arrow"}]'), diagsync.clone('a-p', 'b'), diagsync.clone('a-p', 'c');
SELECT diagsync.put('a', '[{"id":"x","v":1},{"id":"n","v":1}]'), diagsync.remove('a', '{y}');
SELECT * FROM diagsync.push('a');
SELECT * FROM diagsync.pull('b');
SELECT diagsync.put('a-p', '[{"id":"x","v":2},{"id":"n2","v":1}]'), diagsync.remove('a-p', '{z}');
SELECT diagsync.put('b', '[{"id":"x","v":3}]');
SELECT * FROM diagsync.resolve('b', 'x', 'local');
SELECT diagsync.put('b', '[{"id":"x","v":5}]');
SELECT * FROM diagsync.push('b', on_conflict => 'both');
SELECT * FROM diagsync.pull('a', on_conflict => 'both');
SELECT * FROM diagsync.status_all();
SELECT * FROM diagsync.refresh('a');
-- what differs when all is compared
SELECT diagsync.put('b', '[{"id":"n3","v":1}]'), diagsync.put('a-p', '[{"id":"n4","v":1}]');
SELECT * FROM diagsync.refresh('b');
SELECT * FROM diagsync.push('b', on_conflict => 'public');
SELECT * FROM diagsync.pull('a', on_conflict => 'public');
-- edits as if the clock had been set back since what they replace
INSERT INTO diagsync_local.entity (diagram_id, id, doc, modified_at) VALUES ('a', 'late', '{}', '2100-01-01');
SELECT * FROM diagsync.push('a');
DELETE FROM diagsync_local.entity WHERE diagram_id = 'a' AND id = 'late';
INSERT INTO diagsync_local.entity (diagram_id, id, doc) VALUES ('a', 'late', '{}');
WITH gone AS (DELETE FROM diagsync_local.entity WHERE diagram_id = 'a' AND id = 'late' RETURNING id) INSERT INTO diagsync_local.entity (diagram_id, id, doc) SELECT 'a', id, '{"v": 1}' FROM gone;
DELETE FROM diagsync_public.entity WHERE diagram_id = 'a-p' AND id = 'late';
INSERT INTO diagsync_public.entity (diagram_id, id, doc) VALUES ('a-p', 'late', '{}');
WITH gone AS (DELETE FROM diagsync_public.entity WHERE diagram_id = 'a-p' AND id = 'late' RETURNING id) INSERT INTO diagsync_public.entity (diagram_id, id, doc) SELECT 'a-p', id, '{"v": 1}' FROM gone;
SELECT * FROM diagsync.pull('a', on_conflict => 'public');
-- a trigger of the directory that edits the shared copy
CREATE TRIGGER edit_far BEFORE UPDATE ON diagsync.directory FOR EACH ROW WHEN (NEW.seen_own IS NOT NULL) EXECUTE FUNCTION t.edit_far();
SELECT diagsync.put('a', '[{"id":"w","v":1}]');
SELECT * FROM diagsync.push('a');
DROP TRIGGER edit_far ON diagsync.directory;
SELECT diagsync.set_storage_type('a-p', 'private');
SELECT diagsync.set_storage_type('a-p', 'public');
SELECT diagsync.add_member('a-p', 'role:eve', 'reader');
SELECT diagsync.remove_member('a-p', 'role:eve');
SELECT diagsync.set_owner('a-p', 'role:postgres');
SELECT diagsync.create_token('a-p', 'reader', label => 'l') AS token \gset
SELECT diagsync.revoke_token(split_part(:'token', '.', 1));
-- an entity kept under a new id
SELECT diagsync.put('a', '[{"id":"twice","v":1}]'), diagsync.put('a-p', '[{"id":"twice","v":2}]');
SELECT * FROM diagsync.pull('a', on_conflict => 'both');
-- a reference that dangles
SELECT diagsync.set_merge_policy('a', '{"references": ["/to"]}');
SELECT diagsync.put('a', '[{"id":"arrow","to":"box"}]'), diagsync.remove('a-p', '{box}');
SELECT * FROM diagsync.resolve('a', 'arrow', 'local');
-- ... which is taken back, with what was accepted
SELECT diagsync.put('a-p', '[{"id":"arrow","v":9}]');
SELECT * FROM diagsync.discard('a', '{arrow}');
SELECT diagsync.set_merge_policy('a', NULL);
-- a transaction that syncs and edits the shared copy
BEGIN;
SELECT * FROM diagsync.pull('a', on_conflict => 'local');
SELECT diagsync.put('a-p', '[{"id":"own","v":1}]');
COMMIT;
-- rows of a dump
INSERT INTO diagsync_public.entity (diagram_id, id, doc, rev, modified_at) VALUES ('a-p', 'restored row', '{}', 3, '2020-01-01');
INSERT INTO diagsync_public.tombstone (diagram_id, id, rev, deleted_at, deleted_by) VALUES ('a-p', 'old', 3, '2020-01-01', 'role:x');
INSERT INTO diagsync_public.entity (diagram_id, id, doc, rev, modified_at) VALUES ('a-p', 'future', '{}', 999999999999, '2020-01-01');
INSERT INTO diagsync_public.tombstone (diagram_id, id, rev, deleted_at, deleted_by) VALUES ('a-p', 'older', 999999999999, '2020-01-01', 'role:x');
-- the same of a diagram to which no link leads, and what it may hold
SELECT diagsync.create_diagram('R', 'public', id => 'r');
INSERT INTO diagsync_public.entity (diagram_id, id, doc, rev, modified_at) VALUES ('r', 'old', '{}', 3, '2020-01-01');
SELECT diagsync.set_limits('r', 10, 100000);
-- an application's triggers
CREATE TRIGGER nothing BEFORE INSERT OR UPDATE OR DELETE ON diagsync_public.entity FOR EACH ROW EXECUTE FUNCTION t.nothing();
CREATE TRIGGER nothing BEFORE INSERT OR UPDATE OR DELETE ON diagsync_local.entity FOR EACH ROW EXECUTE FUNCTION t.nothing();
SELECT * FROM diagsync.pull('a', on_conflict => 'public');
SELECT t.pair('d', '[{"id":"x"},{"id":"y"},{"id":"z"}]'), diagsync.clone('d-p', 'e');
SELECT diagsync.put('d', '[{"id":"x","v":1},{"id":"n","v":1}]'), diagsync.remove('d', '{y}');
SELECT diagsync.put('e', '[{"id":"x","v":9}]');
SELECT * FROM diagsync.push('d');
SELECT * FROM diagsync.pull('e', on_conflict => 'local');
SELECT * FROM diagsync.push('e');
SELECT diagsync.set_storage_type('d-p', 'private');
SELECT diagsync.set_storage_type('d-p', 'public');
CREATE TRIGGER again AFTER UPDATE ON diagsync_local.entity FOR EACH ROW EXECUTE FUNCTION t.again();
UPDATE diagsync_local.entity SET doc = '{"v": 7}' WHERE diagram_id = 'd' AND id = 'x';
DROP TRIGGER again ON diagsync_local.entity;
-- what the settings are there
CREATE TRIGGER settings AFTER INSERT OR UPDATE OR DELETE ON diagsync_local.entity FOR EACH STATEMENT EXECUTE FUNCTION t.settings();
CREATE TRIGGER settings AFTER INSERT OR UPDATE OR DELETE ON diagsync_public.entity FOR EACH STATEMENT EXECUTE FUNCTION t.settings();
SELECT diagsync.put('d', '[{"id":"n","v":8}]');
SELECT * FROM diagsync.push('d');
INSERT INTO t.seen SELECT name, setting FROM pg_settings WHERE name IN (SELECT name FROM t.seen) ON CONFLICT DO NOTHING;
SELECT diagsync.prune('0 seconds');
CREATE TRIGGER nothing BEFORE INSERT ON diagsync_local.base FOR EACH ROW EXECUTE FUNCTION t.nothing();
SELECT diagsync.unlink('a'), diagsync.link('a', 'a-p');
DROP TRIGGER nothing ON diagsync_local.base;
-- of a user whom the limits apply to
SET SESSION AUTHORIZATION limited;
SELECT diagsync.create_diagram('U', id => 'u'), diagsync.put('u', '[{"id":"x"}]'), diagsync.share('u', 'u-p');
SELECT * FROM diagsync.status_all();
SELECT * FROM diagsync.limits('u'), diagsync.sync_rate();
RESET SESSION AUTHORIZATION;
SELECT diagsync.drop_diagram(id) FROM (VALUES ('a-p'), ('a'), ('b')) AS d(id);
SQL

# The commands in the library, each as an expression for what it looks like.
my $library = slurp_file($node->safe_psql('postgres', "SELECT setting FROM pg_config WHERE name = 'PKGLIBDIR'") . '/diagsync.so');
my %commands;
while ($library =~ /\0((?:INSERT|UPDATE|DELETE|SELECT) [^\0]*OPERATOR\(pg_catalog[^\0]*|INSERT INTO (?:%1\$s|diagsync)[^\0]*|UPDATE diagsync[^\0]*)(?=\0)/g)
{
	my $text = $1;
	my $pattern = join('(?:diagsync_(?:local|public|private))', map { quotemeta } split(/%1\$s/, $text, -1));
	$commands{$text} = qr/\A$pattern\z/;
}
# From version 17 on it is shared memory that counts calls and creations, and only that.
delete $commands{$_} foreach grep { /^SELECT .*\b(?:called|created)_at OPERATOR/ && $node->pg_version->major >= 17 } keys %commands;
cmp_ok(scalar(keys %commands), '>', 50, 'the library has commands');
diag(scalar(keys %commands) . ' commands');

# These read whole tables: prune() compares all principals with all roles.
my @whole = grep { /^(?:DELETE FROM|INSERT INTO) diagsync\.known_role AS k .*pg_catalog\.pg_roles/ } keys %commands;
is(scalar(@whole), 2, 'two commands read all principals');

# What is wrong with a node of a plan of diagsync's.
sub wrong
{
	my ($query, $node) = @_;
	my @wrong;
	my $table = ($node->{Schema} // '') =~ /^diagsync/ ? "$node->{Schema}.$node->{'Relation Name'}" : undef;
	my $type = $node->{'Node Type'};

	if ($table && $type ne 'ModifyTable')
	{
		my $condition = $node->{'Index Cond'} // '';

		if ($type !~ /^(?:Index|Index Only|Tid) Scan$/) { push @wrong, "$type of $table" if $table ne 'diagsync.sync_log' || $query !~ /^DELETE/ }
		elsif ($type ne 'Tid Scan')
		{
			push @wrong, "all of $table" if $condition eq '';
			# A plan for one value has it in the condition.
			push @wrong, "$condition for one value" if $condition =~ /'/;
			push @wrong, "$node->{'Index Name'} of $table" if $table =~ /^diagsync_/ && $node->{'Index Name'} !~ /_pkey$/;
			# One entity at a time is reached by both columns.
			push @wrong, "$condition of $table"
			  if $table =~ /^diagsync_/ && $condition !~ /\bid = /
			  && ($query =~ /\b(?:[a-z]\.)?(?<!_)id OPERATOR\(pg_catalog\.=\)/ && $query !~ /FULL JOIN|NOT EXISTS|unnest\(\$5/);
		}
	}
	push @wrong, $type if $type =~ /Hash|Sort/ && $query =~ /FULL JOIN/;
	push @wrong, 'parallel' if $type =~ /Gather/;
	push @wrong, wrong($query, $_) foreach @{ $node->{Plans} // [] };
	return @wrong;
}

$node->safe_psql('postgres', 'CREATE ROLE limited LOGIN; CREATE ROLE eve');
my $n = 0;
foreach my $statistics (sort keys %statistics)
{
	foreach my $settings (sort keys %settings)
	{
		# Settings with the plain tables, statistics with the plain settings.
		next if $statistics ne 'none' && $settings ne 'as they are';
		my $db = 'd' . ++$n;
		my $what = "settings: $settings; statistics: $statistics";
		my %missing = %commands;
		my %wrong;

		new_database($node, $db);
		$node->safe_psql($db, "SELECT diagsync.grant_usage('limited'); $setup");
		$node->safe_psql($db, $_) foreach split(/(?<=;) (?=VACUUM)/, $statistics{$statistics});
		my ($ret, $out, $err) = $node->psql($db, <<"SQL" . $work, on_error_stop => 1);
LOAD 'auto_explain';
SET auto_explain.log_min_duration = 0;
SET auto_explain.log_nested_statements = on;
SET auto_explain.log_verbose = on;
SET auto_explain.log_format = 'json';
SET client_min_messages = log;
$settings{$settings}
SQL
		is($ret, 0, "$what: all of it runs") or diag(substr($err =~ s/^.*?(?=ERROR)//sr, 0, 1000));
		while ($err =~ /^(?:psql:\S+ )?LOG:  duration: [^\n]* plan:\n(\{\n.*?\n\})$/msg)
		{
			my $plan = $json->decode($1);
			my $query = $plan->{'Query Text'};
			my @is = grep { $query =~ $commands{$_} } keys %commands;

			next unless @is;
			delete $missing{$_} foreach @is;
			next if grep { $query =~ $commands{$_} } @whole;
			$wrong{"$query: $_"} = 1 foreach wrong($query, $plan->{Plan});
			$wrong{"$query: just-in-time compilation"} = 1 if $plan->{JIT};
		}
		is(join("\n", sort keys %missing), '', "$what: every command has run");
		is(join("\n", sort keys %wrong), '', '... and reaches rows by key');
		is($node->safe_psql($db, "SELECT string_agg(name, ' ') FROM (SELECT name FROM t.seen GROUP BY name HAVING count(*) > 1) AS s"),
			'', '... in a trigger the settings are those of the session');
		cmp_ok($node->safe_psql($db, 'SELECT count(*) FROM t.seen'), '>', 20, '... which were looked at');
	}
}

# Many diagrams in one statement, whose plans were made when the tables were empty.
new_database($node, 'many');
$node->safe_psql('many', 'VACUUM ANALYZE');
$node->safe_psql('many', <<'SQL');
DO $$ BEGIN
	PERFORM diagsync.create_diagram('D', id => 'd' || n), diagsync.share('d' || n, 'p' || n), diagsync.unlink('d' || n) FROM generate_series(1, 2000) AS n;
END $$;
SQL
is( $node->safe_psql('many', "SELECT sum(seq_tup_read) < 20000 FROM pg_stat_user_tables WHERE schemaname ~ '^diagsync'"),
	't', 'thousands of diagrams shared in one statement read no table as a whole');

$node->stop;
done_testing();
