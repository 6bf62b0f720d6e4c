# pg_upgrade carries everything: the new cluster has another system identifier,
# so what links had seen counts as nothing there.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Diagsync;

my $old = new_node('upgrade_old');
my $new = new_node('upgrade_new');
my $dir = PostgreSQL::Test::Utils::tempdir;

new_database($old, 'd');
diagrams($old, 'd');
$old->safe_psql('postgres', 'CREATE DATABASE original TEMPLATE d');
my $before = picture($old, 'd');
$_->stop foreach ($old, $new);

my $bindir = $old->config_data('--bindir');
my ($psql) = grep { -x "$_/psql" } split(/:/, $ENV{PATH});
$bindir = $psql;    # where diagsync is installed

chdir $dir or die "$dir: $!";
command_ok(
	[ 'pg_upgrade', '--no-sync', '-d', $old->data_dir, '-D', $new->data_dir, '-b', $bindir, '-B', $bindir,
		'-s', $new->host, '-p', $old->port, '-P', $new->port ],
	'pg_upgrade');
$new->start;
isnt($new->safe_psql('d', 'SELECT system_identifier FROM pg_control_system()'), '', 'the new cluster runs');
same_picture(picture($new, 'd'), $before, 'upgraded');
$old->start;
same_picture(carry_on($new, 'd'), carry_on($old, 'original'), 'upgraded, then synced');

$_->stop foreach ($old, $new);
done_testing();
