# What the TAP tests of diagsync share: clusters, diagrams in all kinds of
# states, and pictures of them to compare.
package Diagsync;

use strict;
use warnings;
use Exporter 'import';
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

our @EXPORT = qw(
  new_node new_database diagrams carry_on status_of picture contents
  blocked_session wait_blocked result_of ins upd del edit_sql same_picture
  burn is_sql entities background
);

# A running cluster. "streaming" for backups and standbys, "archiving" for recovery to
# a point in time; "conf" are more settings.
sub new_node
{
	my ($name, %how) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);

	$node->init(
		allows_streaming => $how{streaming} || $how{archiving} || 0,
		has_archiving    => $how{archiving} || 0,
		extra            => [ '-E', 'UTF8', '--locale=C' ]);
	# No transaction ids but those that the test takes.
	$node->append_conf('postgresql.conf', "autovacuum = off\n");
	$node->append_conf('postgresql.conf', "timezone = 'UTC'\n");
	$node->append_conf('postgresql.conf', "log_statement = none\n");
	$node->append_conf('postgresql.conf', "max_connections = 30\n");
	$node->append_conf('postgresql.conf', $how{conf}) if $how{conf};
	$node->start;
	return $node;
}

# A database with the extension.
sub new_database
{
	my ($node, $db) = @_;

	$node->safe_psql('postgres', "CREATE DATABASE $db");
	$node->safe_psql($db, 'CREATE EXTENSION diagsync');
	return $db;
}

# ---- Edits as SQL ------------------------------------------------------------
# By the last letters of a diagram's name: -p is public, -q private, else local.

sub _table
{
	my $diagram = shift;
	return 'diagsync_public.entity'  if $diagram =~ /-p$/;
	return 'diagsync_private.entity' if $diagram =~ /-q$/;
	return 'diagsync_local.entity';
}

sub _quote
{
	my $text = shift;
	$text =~ s/'/''/g;
	return "'$text'";
}

sub ins
{
	my ($diagram, $id, $value) = @_;
	return sprintf("INSERT INTO %s (diagram_id, id, doc) VALUES (%s, %s, jsonb_build_object('v', %s, 'n', 1));\n",
		_table($diagram), map { _quote($_) } $diagram, $id, $value);
}

sub upd
{
	my ($diagram, $id, $value) = @_;
	return sprintf("UPDATE %s SET doc = doc || jsonb_build_object('v', %s) WHERE diagram_id = %s AND id = %s;\n",
		_table($diagram), map { _quote($_) } $value, $diagram, $id);
}

sub del
{
	my ($diagram, $id) = @_;
	return sprintf("DELETE FROM %s WHERE diagram_id = %s AND id = %s;\n",
		_table($diagram), map { _quote($_) } $diagram, $id);
}

# An insert, an update and a deletion at one end, of e1, e2 and "new".
sub edit_sql
{
	my ($diagram, $tag) = @_;
	return upd($diagram, 'e1', $tag) . del($diagram, 'e2') . ins($diagram, "new $tag", $tag);
}

# Entities e1 to eN as an argument of put().
sub entities
{
	my $n = shift;
	return "(SELECT jsonb_agg(jsonb_build_object('id', 'e' || g, 'v', 'base', 'n', g)) FROM generate_series(1, $n) g)";
}

# A local diagram of N entities, shared as NAME-p (or -q).
sub _shared
{
	my ($name, %how) = @_;
	my $n    = $how{n} || 10;
	my $type = $how{private} ? 'private' : 'public';
	my $far  = $name . ($how{private} ? '-q' : '-p');

	return "SELECT diagsync.create_diagram('$name', 'local', '$name');\n"
	  . "SELECT diagsync.put('$name', " . entities($n) . ");\n"
	  . "SELECT diagsync.share('$name', '$far', '$type');\n";
}

# ---- Diagrams in all kinds of states -----------------------------------------
# Every statement is a transaction of its own, unless it says BEGIN.

sub diagrams
{
	my ($node, $db) = @_;
	my %sql;

	$sql{'in-sync'} = _shared('in-sync');
	$sql{'empty'} = "SELECT diagsync.create_diagram('empty', 'local', 'empty');\nSELECT diagsync.share('empty', 'empty-p');\n";
	$sql{'large'} =
	    _shared('large', n => 1500)
	  . "UPDATE diagsync_local.entity SET doc = doc || '{\"v\": \"L\"}' WHERE diagram_id = 'large' AND id < 'e4';\n"
	  . "UPDATE diagsync_public.entity SET doc = doc || '{\"v\": \"P\"}' WHERE diagram_id = 'large-p' AND id > 'e8';\n"
	  . "DELETE FROM diagsync_public.entity WHERE diagram_id = 'large-p' AND id BETWEEN 'e5' AND 'e6';\n";

	# Pending at one end or both
	$sql{'pending-local'} = _shared('pending-local') . edit_sql('pending-local', 'L');
	$sql{'pending-public'} = _shared('pending-public') . edit_sql('pending-public-p', 'P');
	$sql{'pending-both'} =
	    _shared('pending-both')
	  . edit_sql('pending-both', 'L')
	  . upd('pending-both-p', 'e3', 'P') . del('pending-both-p', 'e4') . ins('pending-both-p', 'new P', 'P');
	$sql{'all-deleted'} = _shared('all-deleted')
	  . "SELECT diagsync.remove('all-deleted-p', ARRAY(SELECT 'e' || g FROM generate_series(1, 10) g));\n";
	$sql{'deleted-and-back'} =
	    _shared('deleted-and-back')
	  . del('deleted-and-back-p', 'e1') . ins('deleted-and-back-p', 'e1', 'again')
	  . del('deleted-and-back', 'e2') . ins('deleted-and-back', 'e2', 'again');

	# Conflicts of every kind, each with what does not conflict beside it
	$sql{'update-update'} = _shared('update-update') . upd('update-update', 'e1', 'L') . upd('update-update-p', 'e1', 'P')
	  . upd('update-update', 'e2', 'L') . upd('update-update-p', 'e3', 'P');
	$sql{'update-delete'} = _shared('update-delete') . upd('update-delete', 'e1', 'L') . del('update-delete-p', 'e1')
	  . del('update-delete-p', 'e2');
	$sql{'delete-update'} = _shared('delete-update') . del('delete-update', 'e1') . upd('delete-update-p', 'e1', 'P')
	  . del('delete-update', 'e2');
	$sql{'insert-insert'} = _shared('insert-insert') . ins('insert-insert', 'new', 'L') . ins('insert-insert-p', 'new', 'P');
	$sql{'conflicts'} =
	    _shared('conflicts')
	  . upd('conflicts', 'e1', 'L') . upd('conflicts-p', 'e1', 'P')
	  . upd('conflicts', 'e2', 'L') . del('conflicts-p', 'e2')
	  . del('conflicts', 'e3') . upd('conflicts-p', 'e3', 'P')
	  . ins('conflicts', 'new', 'L') . ins('conflicts-p', 'new', 'P')
	  . upd('conflicts', 'e4', 'L') . del('conflicts', 'e5')
	  . upd('conflicts-p', 'e6', 'P') . del('conflicts-p', 'e7');

	# What looks like a change and is none
	$sql{'agreed'} =
	    _shared('agreed')
	  . upd('agreed', 'e1', 'same') . upd('agreed-p', 'e1', 'same')
	  . del('agreed', 'e2') . del('agreed-p', 'e2')
	  . ins('agreed', 'new', 'same') . ins('agreed-p', 'new', 'same');
	$sql{'undone'} =
	    _shared('undone')
	  . upd('undone', 'e1', 'L') . upd('undone', 'e1', 'base')
	  . upd('undone-p', 'e2', 'P') . upd('undone-p', 'e2', 'base')
	  . ins('undone', 'new', 'L') . del('undone', 'new')
	  . ins('undone-p', 'new P', 'P') . del('undone-p', 'new P');

	# After syncs that left something
	$sql{'pushed'} = _shared('pushed') . edit_sql('pushed', 'L') . "SELECT diagsync.push('pushed');\n" . upd('pushed', 'e3', 'L');
	$sql{'pushed-unpulled'} =
	    _shared('pushed-unpulled')
	  . upd('pushed-unpulled-p', 'e3', 'P') . del('pushed-unpulled-p', 'e4')
	  . edit_sql('pushed-unpulled', 'L') . "SELECT diagsync.push('pushed-unpulled');\n"
	  . upd('pushed-unpulled', 'e5', 'L');
	$sql{'pulled'} = _shared('pulled') . edit_sql('pulled-p', 'P') . "SELECT diagsync.pull('pulled');\n" . del('pulled-p', 'e3');
	$sql{'skipped'} =
	    _shared('skipped')
	  . upd('skipped', 'e1', 'L') . upd('skipped-p', 'e1', 'P')
	  . upd('skipped', 'e2', 'L') . upd('skipped-p', 'e3', 'P')
	  . "SELECT diagsync.pull('skipped', on_conflict => 'skip');\n"
	  . "SELECT diagsync.push('skipped', on_conflict => 'skip');\n";
	$sql{'resolved'} =
	    _shared('resolved')
	  . join('', map { upd('resolved', $_, 'L') . upd('resolved-p', $_, 'P') } qw(e1 e2 e3 e4))
	  . "SELECT diagsync.resolve('resolved', 'e1', 'local');\n"
	  . "SELECT diagsync.resolve('resolved', 'e2', 'public');\n"
	  . "SELECT diagsync.resolve('resolved', 'e3', 'both');\n"
	  . upd('resolved-p', 'e1', 'P again');
	# The shared copy edited by the transaction that pushed, and before it did
	$sql{'own-and-other'} =
	    _shared('own-and-other')
	  . "BEGIN;\n" . upd('own-and-other-p', 'e3', 'P') . edit_sql('own-and-other', 'L')
	  . "SELECT diagsync.push('own-and-other');\n" . upd('own-and-other-p', 'e4', 'P') . "COMMIT;\n";

	# Merge policies: both edited an entity, what is ignored was passed over by a pull
	$sql{'policy'} =
	    _shared('policy')
	  . "SELECT diagsync.set_merge_policy('policy', '{\"granularity\": \"property\", \"ignore\": [\"/seen\"]}');\n"
	  . "UPDATE diagsync_public.entity SET doc = doc || '{\"seen\": 1}' WHERE diagram_id = 'policy-p' AND id = 'e4';\n"
	  . "SELECT diagsync.pull('policy');\n"
	  . "UPDATE diagsync_local.entity SET doc = doc || '{\"color\": \"L\"}' WHERE diagram_id = 'policy' AND id < 'e3';\n"
	  . "UPDATE diagsync_public.entity SET doc = doc || '{\"text\": \"P\"}' WHERE diagram_id = 'policy-p' AND id < 'e3';\n"
	  . upd('policy', 'e3', 'L') . upd('policy-p', 'e3', 'P');
	# References that would dangle: settled, shown, skipped
	$sql{'references'} =
	    _shared('references')
	  . "SELECT diagsync.set_merge_policy('references', '{\"references\": [\"/to\"]}');\n"
	  . del('references', 'e1') . del('references', 'e2') . del('references-p', 'e3')
	  . "INSERT INTO diagsync_public.entity (diagram_id, id, doc) VALUES ('references-p', 'to e1', '{\"to\": \"e1\"}'), ('references-p', 'to e2', '{\"to\": \"e2\"}');\n"
	  . "INSERT INTO diagsync_local.entity (diagram_id, id, doc) VALUES ('references', 'to e3', '{\"to\": \"e3\"}');\n"
	  . "SELECT diagsync.resolve('references', 'e1', 'local');\n"
	  . "SELECT diagsync.pull('references', on_conflict => 'skip');\n";

	# Links of other kinds
	$sql{'linked'} =
	    "SELECT diagsync.create_diagram('linked', 'local', 'linked');\n"
	  . "SELECT diagsync.create_diagram('linked-p', 'public', 'linked-p');\n"
	  . ins('linked', 'same', 'same') . ins('linked-p', 'same', 'same')
	  . ins('linked', 'mine', 'L') . ins('linked-p', 'theirs', 'P')
	  . ins('linked', 'differs', 'L') . ins('linked-p', 'differs', 'P')
	  . "SELECT diagsync.link('linked', 'linked-p');\n";
	$sql{'two'} =
	    _shared('two') . "SELECT diagsync.clone('two-p', 'two-other');\n"
	  . edit_sql('two', 'L') . "SELECT diagsync.push('two');\n" . upd('two-other', 'e3', 'M') . del('two-p', 'e4');
	$sql{'private'} = _shared('private', private => 1)
	  . "SELECT diagsync.add_member('private-q', 'sub:' || role, role) FROM unnest('{reader,writer,admin}'::text[]) AS role;\n"
	  . "SELECT diagsync.create_token('private-q', 'reader', '1 day', 'a day'), diagsync.create_token('private-q', 'writer', label => 'for good');\n"
	  . "SELECT diagsync.set_owner('private-q', 'sub:owner');\n" . upd('private', 'e1', 'L') . upd('private-q', 'e1', 'P')
	  . upd('private', 'e2', 'L') . del('private-q', 'e3') . ins('private-q', 'new', 'P');
	$sql{'moved'} = _shared('moved') . edit_sql('moved-p', 'P') . "SELECT diagsync.set_storage_type('moved-p', 'private');\n";
	$sql{'unlinked'} = _shared('unlinked') . edit_sql('unlinked', 'L') . "SELECT diagsync.unlink('unlinked');\n" . upd('unlinked', 'e3', 'L');
	$sql{'alone'} = "SELECT diagsync.create_diagram('alone', 'local', 'alone');\n" . ins('alone', 'e1', 'L');
	$sql{'orphan'} = _shared('orphan') . edit_sql('orphan', 'L') . "SELECT diagsync.drop_diagram('orphan-p');\n";
	$sql{'legacy'} =
	    "INSERT INTO diagsync.directory (id, name) VALUES ('legacy-p', 'From before storage types');\n"
	  . ins('legacy-p', 'e1', 'old') . ins('legacy-p', 'e2', 'old') . del('legacy-p', 'e2');

	# Ids and documents that are hard to carry
	$sql{'odd'} =
	    _shared('odd')
	  . ins('odd', "quo'te\" back\\slash\ttab\nline \x{e2}\x{82}\x{ac} \\N \\.", 'L')
	  . ins('odd-p', '{"a": [1, null]}', "P's \\ \x{c3}\x{bc}")
	  . "UPDATE diagsync_local.entity SET doc = '{\"n\": 1.0, \"deep\": {\"a\": [1, 2.50, null, {\"b\": \"\\\\n\"}]}}'"
	  . " WHERE diagram_id = 'odd' AND id = 'e1';\n"
	  . "UPDATE diagsync_public.entity SET doc = '{}' WHERE diagram_id = 'odd-p' AND id = 'e2';\n";

	# Transactions of all diagrams mixed, in the same order each time.
	$node->safe_psql($db, join('', map { $sql{$_} } sort keys %sql));
	return;
}

# ---- Pictures ------------------------------------------------------------------

# One line for each linked diagram, as status_all() has it.
sub status_of
{
	my ($node, $db) = @_;
	return $node->safe_psql($db, 'SELECT * FROM diagsync.status_all() ORDER BY local_id');
}

# Who holds what.
sub contents
{
	my ($node, $db) = @_;
	return $node->safe_psql($db,
		'SELECT storage_type, diagram_id, id, doc FROM diagsync.entity ORDER BY 1, 2, 3');
}

# Everything that can be seen of all diagrams; the bookkeeping aside.
sub picture
{
	my ($node, $db) = @_;
	my %picture = (
		status  => status_of($node, $db),
		changes => $node->safe_psql($db,
			"SELECT d.id, c.* FROM diagsync.directory d, diagsync.changes(d.id) c"
			  . " WHERE d.public_copy_id IS NOT NULL ORDER BY d.id, c.entity_id"),
		conflicts => $node->safe_psql($db,
			"SELECT d.id, c.* FROM diagsync.directory d, diagsync.conflicts(d.id) c"
			  . " WHERE d.public_copy_id IS NOT NULL ORDER BY d.id, c.entity_id"),
		unlinked => $node->safe_psql($db,
			"SELECT s.* FROM diagsync.directory d, diagsync.status(d.id) s"
			  . " WHERE d.public_copy_id IS NULL AND d.storage_type = 'local' ORDER BY d.id"),
		directory => $node->safe_psql($db,
			"SELECT id, name, description, storage_type, owner, created_at, public_copy_id,"
			  . " last_pushed_at, last_pulled_at, merge_policy FROM diagsync.directory ORDER BY id"),
		contents => $node->safe_psql($db,
			'SELECT storage_type, diagram_id, id, doc, modified_at, modified_by FROM diagsync.entity ORDER BY 1, 2, 3'),
		bases => $node->safe_psql($db, 'SELECT * FROM diagsync_local.base ORDER BY 1, 2'),
		access => $node->safe_psql($db,
			'SELECT * FROM diagsync.member ORDER BY 1, 2; SELECT * FROM diagsync.access_token ORDER BY label'));
	return \%picture;
}

# One test for each part of two pictures.
sub same_picture
{
	my ($got, $expected, $what) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	foreach my $part (sort keys %$expected)
	{
		_same_lines($got->{$part}, $expected->{$part}, "$what: $part");
	}
	return;
}

# As is(), but says which lines differ, of what may be thousands.
sub _same_lines
{
	my ($got, $expected, $what) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return if ok($got eq $expected, $what);
	my %got      = map { $_ => 1 } split(/\n/, $got);
	my %expected = map { $_ => 1 } split(/\n/, $expected);
	my @missing = grep { !$got{$_} } sort keys %expected;
	my @excess = grep { !$expected{$_} } sort keys %got;
	splice(@missing, 20) if @missing > 20;
	splice(@excess, 20)  if @excess > 20;
	diag(map({ "expected: $_\n" } @missing), map({ "got:      $_\n" } @excess));
	return;
}

# Syncs all diagrams in ways that differ from one to the next, edits them, and
# syncs them until nothing is left. Returns all that was answered, and what is
# in the diagrams in the end. The same state gives the same answer.
sub carry_on
{
	my ($node, $db) = @_;
	my $answer = '';
	my $figures = 'success, documents_updated, inserted, updated, deleted, merged, resolved, conflicts';
	my $status = 'local_id, public_id, state, diverged, local_changes, public_changes, conflicts';
	my @linked = split(/\n/, $node->safe_psql($db,
		'SELECT id FROM diagsync.directory WHERE public_copy_id IS NOT NULL ORDER BY id'));
	my @policies = qw(local public both newest);
	my $sql = '';
	my $n = 0;

	foreach my $id (@linked)
	{
		my $policy = $policies[ $n++ % 4 ];
		my @steps = $n % 2 ? qw(push pull) : qw(pull push);

		$sql .= "SELECT '$id', '$_', $figures FROM diagsync.$_('$id');\n" foreach @steps;
		$sql .= "SELECT '$id', '$_, skip', $figures FROM diagsync.$_('$id', on_conflict => 'skip');\n" foreach @steps;
		$sql .= "SELECT $status FROM diagsync.status('$id');\n";
		$sql .= "SELECT '$id', '$_, $policy', $figures FROM diagsync.$_('$id', on_conflict => '$policy');\n" foreach @steps;
		$sql .= "SELECT '$id', entity_id, side, local_change, public_change, conflict, base, local, public"
		  . " FROM diagsync.changes('$id');\n";
	}
	# Every diagram is edited once more, in the shared copy and here.
	$sql .= "UPDATE diagsync_$_.entity SET doc = doc || '{\"late\": \"$_\"}' WHERE id = 'e7';\n" foreach qw(public private);
	$sql .= "DELETE FROM diagsync_$_.entity WHERE id = 'e8';\n" foreach qw(public private);
	$sql .= "UPDATE diagsync_local.entity SET doc = doc || '{\"late\": \"local\"}' WHERE id = 'e9';\n"
	  . "DELETE FROM diagsync_local.entity WHERE id = 'e10';\n";
	$sql .= "SELECT $status FROM diagsync.status_all() ORDER BY local_id;\n";
	for my $round (1, 2)
	{
		foreach my $id (@linked)
		{
			$sql .= "SELECT '$id', '$_', $figures FROM diagsync.$_('$id', on_conflict => 'public');\n" foreach qw(push pull);
		}
	}
	$sql .= "SELECT $status FROM diagsync.status_all() ORDER BY local_id;\n";
	$sql .= "SELECT 'bases', count(*) FROM diagsync_local.base;\n";
	$answer = $node->safe_psql($db, $sql);
	return { answers => $answer, contents => contents($node, $db) };
}

# ---- Transaction ids -------------------------------------------------------------

# Uses transaction ids up, until the next one is at least this.
sub burn
{
	my ($node, $db, $until) = @_;
	my $next = $node->safe_psql($db, 'SELECT pg_snapshot_xmax(pg_current_snapshot())');

	return if $next >= $until;
	$node->safe_psql($db, "DO \$\$ BEGIN FOR i IN $next..$until - 1 LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END \$\$");
	return;
}

# ---- Sessions -----------------------------------------------------------------------

# A session whose errors are answers.
sub background
{
	my ($node, $db) = @_;
	return $node->background_psql($db, on_error_stop => 0);
}

# Starts a statement in a background session, without waiting for its answer.
sub blocked_session
{
	my ($session, $sql) = @_;
	$session->query_until(qr/under way/, "\\echo under way\n$sql\n");
	return;
}

# Waits until the session of this process waits for a lock.
sub wait_blocked
{
	my ($node, $pid) = @_;
	$node->poll_query_until('postgres',
		"SELECT wait_event_type = 'Lock' FROM pg_stat_activity WHERE pid = $pid")
	  or die "process $pid does not wait for a lock";
	return;
}

# What a statement started with blocked_session answers: its output and its
# errors.
sub result_of
{
	my $session = shift;
	my $out = $session->query(q{\echo});
	my $err = $session->{stderr};

	$session->{stderr} = '';
	return ($out, $err);
}

sub is_sql
{
	my ($node, $db, $sql, $expected, $what) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is($node->safe_psql($db, $sql), $expected, $what);
	return;
}

1;
