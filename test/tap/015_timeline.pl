# What a link has seen means something on the timeline where it saw it: a cluster that was
# put back to an earlier moment, or a standby that was promoted, gives out again the
# transaction ids that came after.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Diagsync;

my $node = new_node('before', archiving => 1);
my $here = "(SELECT system_identifier FROM pg_control_system()) || '/'";

new_database($node, 'd');
diagrams($node, 'd');
# A change that no revision tells of: only a comparison in full finds it.
my $hidden = "BEGIN; SET LOCAL session_replication_role = replica; UPDATE diagsync_public.entity SET doc = doc || '{\"hidden\": true}'"
  . " WHERE diagram_id = 'in-sync-p' AND id = 'e1'; COMMIT;";
my $state = "SELECT state FROM diagsync.status('in-sync')";
$node->safe_psql('d', $hidden);
is_sql($node, 'd', $state, 'in_sync', 'what a link has seen is not looked at again');
is_sql($node, 'd', "SELECT DISTINCT seen_on = $here || '1' FROM diagsync.directory WHERE seen IS NOT NULL", 't', 'it is noted on which timeline it has seen it');
$node->backup('early');
my $early = picture($node, 'd');
my $next  = $node->safe_psql('d', 'SELECT pg_current_xact_id()');
my $point = $node->safe_psql('d', "SELECT pg_create_restore_point('early')");

# The original goes on.
burn($node, 'd', $next + 100);
$node->safe_psql('d', upd('two-p', 'e5', 'later') . "SELECT diagsync.pull('two'); SELECT diagsync.pull('two-other', on_conflict => 'skip')");
my $later = $node->safe_psql('d', "SELECT seen || '|' || seen_on FROM diagsync.directory WHERE id = 'two'");
my ($seen, $seen_on) = split(/\|/, $later);
$node->safe_psql('d', 'SELECT pg_switch_wal()');
$node->poll_query_until('d', "SELECT coalesce(last_archived_wal >= pg_walfile_name('$point'), false) FROM pg_stat_archiver");

# ---- Put back to the earlier moment

my $back = PostgreSQL::Test::Cluster->new('back');
$back->init_from_backup($node, 'early', has_restoring => 1, standby => 0);
$back->append_conf('postgresql.conf', "recovery_target_name = 'early'\nrecovery_target_action = 'pause'\n");
$back->start;
$back->poll_query_until('d', 'SELECT pg_get_wal_replay_pause_state() = \'paused\'');
same_picture(picture($back, 'd'), $early, 'paused at the earlier moment');
is_sql($back, 'd', $state, 'in_sync', '... where what was seen still says something');
$back->promote;
same_status_but_hidden($back, 'promoted');

sub same_status_but_hidden
{
	my ($where, $what) = @_;
	my $picture = picture($where, 'd');

	is_sql($where, 'd', "SELECT entity_id, side FROM diagsync.changes('in-sync')", 'e1|public', "$what: links compare in full");
	foreach my $part (qw(status changes))
	{
		foreach my $pictures ($picture, $early)
		{
			$pictures->{"$part, others"} = join("\n", grep { !/^in-sync\|/ } split(/\n/, $pictures->{$part}));
		}
		is($picture->{"$part, others"}, $early->{"$part, others"}, "$what: $part of all others");
	}
	is($picture->{contents}, $early->{contents}, "$what: contents");
	return;
}

# A standby of it judges likewise, before and after.
$back->backup('again');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($back, 'again', has_streaming => 1);
$standby->append_conf('postgresql.conf', "recovery_target_name = ''\n");
$standby->start;
$back->wait_for_catchup($standby);
same_status_but_hidden($standby, 'its standby');

# What the original saw later, as an administrator may have carried it over: its ids
# lie in the past here once this cluster has caught up, and other changes had them.
burn($back, 'd', $next + 100);
$back->safe_psql('d', upd('two-p', 'e6', 'here') . upd('two-p', 'e7', 'here'));
burn($back, 'd', (split(/:/, $seen))[1] + 10);
my $changes = "SELECT entity_id, side FROM diagsync.changes('two') WHERE entity_id IN ('e6', 'e7')";
is_sql($back, 'd', $changes, "e6|public\ne7|public", 'changes of the new timeline');
$back->safe_psql('d', "UPDATE diagsync.directory SET seen = '$seen', seen_own = NULL, seen_on = '$seen_on' WHERE id = 'two'");
is_sql($back, 'd', $changes, "e6|public\ne7|public", '... are not hidden by what was seen on the old one');

# It is still established: rows with a revision of another transaction are edits.
$back->safe_psql('d', "INSERT INTO diagsync_local.entity (diagram_id, id, doc, rev) VALUES ('in-sync', 'put back', '{}', 3)");
is_sql($back, 'd', "SELECT entity_id, side FROM diagsync.changes('in-sync')", "e1|public\nput back|local", 'rows put back are edits as before');

# A sync notes the new timeline, and then no more is compared than has changed.
is_sql($back, 'd', "SELECT documents_updated FROM diagsync.pull('in-sync'); SELECT documents_updated FROM diagsync.push('in-sync')", "1\n1", 'a sync');
is_sql($back, 'd', "SELECT seen_on = $here || '2' FROM diagsync.directory WHERE id = 'in-sync'", 't', '... notes the new timeline');
$back->safe_psql('d', $hidden =~ s/true/false/r);
is_sql($back, 'd', $state, 'in_sync', '... and is not in doubt any more');
$back->wait_for_catchup($standby);
is_sql($standby, 'd', $state, 'in_sync', '... on the standby either');

# ---- The standby is promoted

$back->stop('immediate');
$standby->promote;
is_sql($standby, 'd', "SELECT entity_id, side FROM diagsync.changes('in-sync')", 'e1|public', 'promoted, a standby is in doubt again');
$standby->safe_psql('d', "SELECT diagsync.pull('in-sync')");
is_sql($standby, 'd', "SELECT seen_on = $here || '3' FROM diagsync.directory WHERE id = 'in-sync'", 't', '... until the next sync');
carry_on($standby, 'd');
is_sql($standby, 'd', 'SELECT DISTINCT state FROM diagsync.status_all()', 'in_sync', 'everything can be synced');

$_->stop foreach ($standby, $node);
done_testing();
