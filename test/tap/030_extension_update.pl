# ALTER EXTENSION UPDATE: a database that was updated equals a fresh one, object
# by object, and keeps its diagrams.
#
# Nothing is released, so the two versions are made up: "old" is the install
# script as it is, "new" the same with a column, a function, a comment, a
# privilege and an index more or other, and an update script does to the one
# what makes the other.  Whoever writes the first real update script adds its
# pair of versions here.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Diagsync;

my $node = new_node('update');
my $folder = $node->config_data('--sharedir') . '/extension';
$folder = "$ENV{DIAGSYNC_INSTALL}$folder" if $ENV{DIAGSYNC_INSTALL} && index($folder, $ENV{DIAGSYNC_INSTALL}) != 0;
my ($default) = slurp_file("$folder/diagsync.control") =~ /^default_version = '(.*)'/m;
my $script = slurp_file("$folder/diagsync--$default.sql");
my ($old, $new) = ('0.1madeup', '0.2madeup');
my @made;

sub make_file
{
	my ($name, $text) = @_;
	push @made, "$folder/$name";
	unlink $made[-1];
	append_to_file($made[-1], $text);
	return;
}

END { unlink @made; }

# What the new version has in the place of the old one's, as its own install
# script says it, and as the update script does.
my $fresh = $script;
my $update = "\\echo Use \"ALTER EXTENSION diagsync UPDATE\" to load this file. \\quit\n";

# A column more, at the end, with its comment.
$fresh =~ s/(CREATE TABLE diagsync\.directory \(.*?)(,\n\tCONSTRAINT)/$1,\n\tcolour text NOT NULL DEFAULT 'none'$2/s
  or die 'no table diagsync.directory in the install script';
my $comment = "COMMENT ON COLUMN diagsync.directory.colour IS 'made up';\n";
$update .= "ALTER TABLE diagsync.directory ADD COLUMN colour text NOT NULL DEFAULT 'none';\n$comment";
my $index = "CREATE INDEX directory_colour ON diagsync.directory (colour);\n";
$update .= $index;

# A function more, that nobody but the owner may call.
my $function = "CREATE FUNCTION diagsync.made_up(id text) RETURNS bigint LANGUAGE sql STABLE PARALLEL SAFE\n"
  . "\tRETURN pg_catalog.length(id);\n"
  . "COMMENT ON FUNCTION diagsync.made_up(text) IS 'made up';\n"
  . "REVOKE ALL ON FUNCTION diagsync.made_up(text) FROM PUBLIC;\n";
$update .= $function;

# A function's comment and volatility.
my $other = "ALTER FUNCTION diagsync.revision() VOLATILE;\nCOMMENT ON FUNCTION diagsync.revision() IS 'another';\n";
$update .= $other;

make_file("diagsync--$old.sql", $script);
make_file("diagsync--$new.sql", $fresh . $comment . $index . $function . $other);
make_file("diagsync--$old--$new.sql", $update);

# ---- What an extension is made of: one line for each thing that can differ

my $members = <<'SQL';
WITH member AS (
	SELECT classid, objid FROM pg_catalog.pg_depend, pg_catalog.pg_extension e
	 WHERE refclassid = 'pg_catalog.pg_extension'::regclass AND refobjid = e.oid
	   AND extname = 'diagsync' AND deptype = 'e'
), relation AS (
	SELECT c.* FROM pg_catalog.pg_class c, member
	 WHERE classid = 'pg_catalog.pg_class'::regclass AND objid = c.oid
	UNION ALL
	SELECT c.* FROM pg_catalog.pg_class c, pg_catalog.pg_type t, member
	 WHERE classid = 'pg_catalog.pg_type'::regclass AND objid = t.oid AND typrelid = c.oid AND relkind = 'c'
), line(what) AS (
	SELECT concat_ws(' | ', (i).type, (i).identity, obj_description(objid, classid::regclass::name))
	  FROM member, pg_catalog.pg_identify_object(classid, objid, 0) i
	UNION ALL
	SELECT concat_ws(' | ', 'schema', nspname, nspacl::text)
	  FROM pg_catalog.pg_namespace n, member WHERE classid = 'pg_catalog.pg_namespace'::regclass AND objid = n.oid
	UNION ALL
	SELECT concat_ws(' | ', 'function', p.oid::regprocedure, pg_catalog.pg_get_functiondef(p.oid), proacl::text, procost, prorows)
	  FROM pg_catalog.pg_proc p, member WHERE classid = 'pg_catalog.pg_proc'::regclass AND objid = p.oid
	UNION ALL
	SELECT concat_ws(' | ', 'type', t.oid::regtype, typacl::text)
	  FROM pg_catalog.pg_type t, member WHERE classid = 'pg_catalog.pg_type'::regclass AND objid = t.oid
	UNION ALL
	SELECT concat_ws(' | ', 'relation', c.oid::regclass, relkind, relacl::text, reloptions::text, relrowsecurity, relforcerowsecurity, relreplident,
			CASE relkind WHEN 'v' THEN pg_catalog.pg_get_viewdef(c.oid) END)
	  FROM relation c
	UNION ALL
	SELECT concat_ws(' | ', 'column', c.oid::regclass,
			row_number() OVER (PARTITION BY c.oid ORDER BY attnum), attname, format_type(atttypid, atttypmod), attnotnull, attidentity,
			attgenerated, attcollation::regcollation, attstorage, attcompression, attacl::text,
			pg_catalog.pg_get_expr(adbin, adrelid), col_description(c.oid, attnum))
	  FROM relation c JOIN pg_catalog.pg_attribute a ON attrelid = c.oid AND attnum > 0 AND NOT attisdropped
	  LEFT JOIN pg_catalog.pg_attrdef ON adrelid = c.oid AND adnum = attnum
	UNION ALL
	SELECT concat_ws(' | ', 'constraint', conrelid::regclass, conname, pg_catalog.pg_get_constraintdef(k.oid), obj_description(k.oid, 'pg_constraint'))
	  FROM relation c JOIN pg_catalog.pg_constraint k ON conrelid = c.oid
	UNION ALL
	SELECT concat_ws(' | ', 'index', indrelid::regclass, pg_catalog.pg_get_indexdef(indexrelid), indisclustered, indisreplident, obj_description(indexrelid, 'pg_class'))
	  FROM relation c JOIN pg_catalog.pg_index ON indrelid = c.oid
	UNION ALL
	SELECT concat_ws(' | ', 'trigger', pg_catalog.pg_get_triggerdef(t.oid), tgenabled)
	  FROM relation c JOIN pg_catalog.pg_trigger t ON tgrelid = c.oid WHERE NOT tgisinternal
	UNION ALL
	SELECT concat_ws(' | ', 'policy', polrelid::regclass, polname, polcmd, polpermissive, polroles::text,
			pg_catalog.pg_get_expr(polqual, polrelid), pg_catalog.pg_get_expr(polwithcheck, polrelid))
	  FROM relation c JOIN pg_catalog.pg_policy ON polrelid = c.oid
	UNION ALL
	SELECT concat_ws(' | ', 'event trigger', evtname, evtevent, evtenabled, evttags::text, evtfoid::regprocedure)
	  FROM pg_catalog.pg_event_trigger t, member WHERE classid = 'pg_catalog.pg_event_trigger'::regclass AND objid = t.oid
	UNION ALL
	SELECT concat_ws(' | ', 'dumped', c::regclass, w)
	  FROM pg_catalog.pg_extension, unnest(extconfig, extcondition) AS u(c, w) WHERE extname = 'diagsync'
)
SELECT what FROM line ORDER BY what COLLATE "C"
SQL

sub members_of
{
	my $db = shift;
	return { 'what it is made of' => $node->safe_psql($db, $members) };
}

# ---- The two versions

$node->safe_psql('postgres', "CREATE DATABASE $_") foreach qw(fresh updated short);
$node->safe_psql('fresh', "CREATE EXTENSION diagsync VERSION '$new'");
$node->safe_psql($_, "CREATE EXTENSION diagsync VERSION '$old'") foreach qw(updated short);
my $lines = () = members_of('fresh')->{'what it is made of'} =~ /^/mg;
cmp_ok($lines, '>', 300, 'what an extension is made of is found');
isnt(members_of('updated')->{'what it is made of'}, members_of('fresh')->{'what it is made of'},
	'the two versions differ');

diagrams($node, 'updated');
$node->safe_psql('postgres', 'CREATE DATABASE original TEMPLATE updated');
my $before = picture($node, 'updated');

# A session that has used the old version goes on with the new one.
my $session = background($node, 'updated');
my $push = "SELECT success FROM diagsync.push('pending-local', dry_run => true)";
is($session->query_safe($push), 't', 'a session uses the old version');
$node->safe_psql('updated', 'ALTER EXTENSION diagsync UPDATE TO ' . "'$new'");
is($session->query_safe($push), 't', '... and goes on with the new one');
$session->quit;

same_picture(members_of('updated'), members_of('fresh'), 'updated');
same_picture(picture($node, 'updated'), $before, 'updated');

# An update script that forgets something is found out.
foreach my $forgotten ('a comment', 'a privilege', 'an index')
{
	my $text = $update;
	my $version = '0.2' . $forgotten =~ s/\W//gr;
	$forgotten eq 'a comment'     ? $text =~ s/^COMMENT ON COLUMN.*?;\n//m
	  : $forgotten eq 'a privilege' ? $text =~ s/^REVOKE.*?;\n//m
	  :                               $text =~ s/^CREATE INDEX.*?;\n//m
	  or die $forgotten;
	make_file("diagsync--$old--$version.sql", $text);
	$node->safe_psql('short', "BEGIN; DROP EXTENSION diagsync; CREATE EXTENSION diagsync VERSION '$old';"
		. " ALTER EXTENSION diagsync UPDATE TO '$version'; COMMIT");
	isnt(members_of('short')->{'what it is made of'}, members_of('fresh')->{'what it is made of'},
		"an update that forgets $forgotten is found out");
}

# ---- Dumped and restored: CREATE EXTENSION takes the default version

my $control = slurp_file("$folder/diagsync.control");
my $dump = PostgreSQL::Test::Utils::tempdir() . '/dump';
command_ok([ 'pg_dump', '-Fc', '-f', $dump, '-d', $node->connstr('updated') ], 'the updated database is dumped');
$node->safe_psql('postgres', 'CREATE DATABASE restored TEMPLATE template0');
$node->safe_psql('restored', "CREATE EXTENSION diagsync VERSION '$new'");
command_ok([ 'pg_restore', '-e', '-d', $node->connstr('restored'), $dump ], '... and restored where the new version is');
same_picture(members_of('restored'), members_of('fresh'), 'restored');
same_picture(picture($node, 'restored'), $before, 'restored');

# ---- Upgraded by pg_upgrade, then updated

my $next = new_node('update_next');
$_->stop foreach ($node, $next);
my ($bindir) = grep { -x "$_/psql" } split(/:/, $ENV{PATH});
chdir PostgreSQL::Test::Utils::tempdir or die;
command_ok(
	[ 'pg_upgrade', '--no-sync', '-d', $node->data_dir, '-D', $next->data_dir, '-b', $bindir, '-B', $bindir,
		'-s', $next->host, '-p', $node->port, '-P', $next->port ],
	'pg_upgrade');
my $from = $node;
$node = $next;
$node->start;
$node->safe_psql('original', 'ALTER EXTENSION diagsync UPDATE TO ' . "'$new'");
same_picture(members_of('original'), members_of('fresh'), 'pg_upgrade, then updated');
same_picture(picture($node, 'original'), $before, 'pg_upgrade, then updated');
same_picture(carry_on($node, 'original'), carry_on($node, 'updated'), 'both synced');

$node->stop;
done_testing();
