# Edits and syncs in prepared transactions, committed after others have synced,
# and after a crash: nothing is missed.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Diagsync;

my $node = new_node('prepared', conf => "max_prepared_transactions = 20\n");
new_database($node, 'd');

# Is everything in sync after a last sync, and are all copies equal?
sub all_equal
{
	my ($what, @links) = @_;
	$node->safe_psql('d', join('', map { "SELECT diagsync.push('$_'); SELECT diagsync.pull('$_');" } @links, @links));
	is_sql($node, 'd', 'SELECT count(*) FROM diagsync.status_all() WHERE local_id = ANY (\'{' . join(',', @links) . "}') AND state <> 'in_sync'",
		'0', "$what: all is in sync");
	foreach my $link (@links)
	{
		is_sql($node, 'd', "SELECT l.id, p.id FROM (SELECT * FROM diagsync_local.entity WHERE diagram_id = '$link') l"
			  . " FULL JOIN (SELECT e.* FROM diagsync_public.entity e JOIN diagsync.directory d ON d.id = '$link' AND diagram_id = public_copy_id) p"
			  . " ON l.id = p.id WHERE l.doc IS DISTINCT FROM p.doc", '', "... and both ends of $link are equal");
	}
	return;
}

sub crash
{
	$node->stop('immediate');
	$node->start;
	return;
}

foreach my $crash (0, 1)
{
	my $how = $crash ? 'after a crash' : 'without a crash';
	my ($a, $b) = ("a$crash", "b$crash");
	$node->safe_psql('d', "SELECT diagsync.create_diagram('$a', 'local', '$a'); SELECT diagsync.put('$a', " . entities(20) . ");"
		  . " SELECT diagsync.share('$a', '$a-p'); SELECT diagsync.clone('$a-p', '$b')");

	# ---- Edits, prepared at both ends
	$node->safe_psql('d',
		'BEGIN; ' . upd("$a-p", 'e1', 'P') . del("$a-p", 'e2') . ins("$a-p", 'new P', 'P') . "PREPARE TRANSACTION 'far';"
		  . 'BEGIN; ' . upd($a, 'e3', 'L') . del($a, 'e4') . ins($a, 'new L', 'L') . "PREPARE TRANSACTION 'near';"
		  . 'BEGIN; ' . upd("$a-p", 'e5', 'lost') . del($a, 'e6') . "PREPARE TRANSACTION 'lost';"
		  . 'SELECT pg_current_xact_id();');
	# Everybody syncs meanwhile, and sees nothing of it.
	is_sql($node, 'd', upd("$a-p", 'e10', 'P') . upd($a, 'e11', 'L')
		  . "SELECT documents_updated FROM diagsync.pull('$a'); SELECT documents_updated FROM diagsync.push('$a');"
		  . "SELECT documents_updated FROM diagsync.pull('$b'); SELECT DISTINCT state FROM diagsync.status_all() WHERE local_id IN ('$a', '$b')",
		"1\n1\n2\nin_sync", "syncs beside prepared edits ($how)");
	crash() if $crash;
	is_sql($node, 'd', "SELECT DISTINCT state FROM diagsync.status_all() WHERE local_id IN ('$a', '$b')", 'in_sync', '... see nothing of them');
	# Who changes a link waits for them, whoever has gone since.
	foreach my $call ("unlink('$a')", "drop_diagram('$a-p')")
	{
		my ($status, $out, $error) = $node->psql('d', "SET lock_timeout = '200ms'; SELECT diagsync.$call");
		like($error, qr/lock timeout/, "$call waits for prepared edits ($how)");
	}
	$node->safe_psql('d', "COMMIT PREPARED 'far'; COMMIT PREPARED 'near'; ROLLBACK PREPARED 'lost'");
	is_sql($node, 'd', "SELECT entity_id, side FROM diagsync.changes('$a')",
		"e1|public\ne2|public\ne3|local\ne4|local\nnew L|local\nnew P|public", "edits prepared before and committed after the syncs are not missed ($how)");
	is_sql($node, 'd', "SELECT entity_id, side FROM diagsync.changes('$b')", "e1|public\ne2|public\nnew P|public", '... by the other link either');
	all_equal("prepared edits ($how)", $a, $b);

	# ---- Syncs, prepared
	$node->safe_psql('d',
		upd($a, 'e1', 'L2') . del($a, 'e3') . upd($b, 'e7', 'M2') . upd("$a-p", 'e8', 'P2')
		  . "BEGIN; SELECT diagsync.push('$a'); " . upd("$a-p", 'e9', 'P after the push') . upd($a, 'e12', 'L after the push')
		  . "PREPARE TRANSACTION 'push';");
	# Edits at both ends beside the prepared push.
	$node->safe_psql('d', upd($a, 'e13', 'L3') . upd("$a-p", 'e14', 'P3') . ins("$a-p", 'new 3', 'P3'));
	is_sql($node, 'd', "SET lock_timeout = '20s'; SELECT documents_updated FROM diagsync.pull('$b')", '3', "another link pulls beside a prepared push ($how)");
	crash() if $crash;
	$node->safe_psql('d', "COMMIT PREPARED 'push'");
	is_sql($node, 'd', "SELECT entity_id, side FROM diagsync.changes('$a')",
		"e12|local\ne13|local\ne14|public\ne8|public\ne9|public\nnew 3|public", "a push prepared and committed later ($how)");
	is_sql($node, 'd', "SELECT entity_id, side FROM diagsync.changes('$b')",
		"e1|public\ne3|public\ne7|local\ne9|public", '... and what it wrote is not missed by the other link');
	all_equal("a prepared push ($how)", $a, $b);

	$node->safe_psql('d', upd("$a-p", 'e1', 'P4') . del("$a-p", 'e7') . "BEGIN; SELECT diagsync.pull('$a'); " . upd($a, 'e8', 'L4') . "PREPARE TRANSACTION 'pull';"
		  . upd("$a-p", 'e9', 'P4') . upd($a, 'e10', 'L4'));
	crash() if $crash;
	$node->safe_psql('d', "COMMIT PREPARED 'pull'");
	is_sql($node, 'd', "SELECT entity_id, side FROM diagsync.changes('$a')", "e10|local\ne8|local\ne9|public", "a pull prepared and committed later ($how)");
	all_equal("a prepared pull ($how)", $a, $b);

	# Rolled back: nothing of it has happened.
	$node->safe_psql('d', upd($a, 'e1', 'L5') . upd("$a-p", 'e8', 'P5'));
	my $before = $node->safe_psql('d', "SELECT * FROM diagsync.changes('$a'); SELECT * FROM diagsync.directory WHERE id = '$a'");
	$node->safe_psql('d', "BEGIN; SELECT diagsync.push('$a'); SELECT diagsync.pull('$a'); PREPARE TRANSACTION 'both'");
	crash() if $crash;
	is_sql($node, 'd', "ROLLBACK PREPARED 'both'; SELECT * FROM diagsync.changes('$a'); SELECT * FROM diagsync.directory WHERE id = '$a'", $before,
		"a sync prepared and rolled back leaves nothing behind ($how)");
	all_equal("a prepared sync rolled back ($how)", $a, $b);

	# A link made, and one ended, by a prepared transaction.
	$node->safe_psql('d', "BEGIN; SELECT diagsync.clone('$a-p', 'c$crash'); PREPARE TRANSACTION 'clone';"
		  . upd("$a-p", 'e1', 'P6') . del("$a-p", 'e8'));
	crash() if $crash;
	is_sql($node, 'd', "COMMIT PREPARED 'clone'; SELECT entity_id, side FROM diagsync.changes('c$crash')", "e1|public\ne8|public",
		"edits beside a prepared clone are not missed by it ($how)");
	all_equal("a prepared clone ($how)", $a, $b, "c$crash");
}

is_sql($node, 'd', 'SELECT count(*) FROM pg_prepared_xacts', '0', 'no prepared transaction is left');
$node->stop;
done_testing();
