-- The contract of the SQL interface: functions with their arguments, defaults
-- and volatility, result types with their columns in order, tables. What holds
-- for every object is in catalog.sql.
BEGIN;
SET client_min_messages = warning;

CREATE TEMPORARY TABLE contract (name text, arguments text, result text, volatility text, parallel text);
INSERT INTO contract VALUES
	('create_diagram', 'name text, storage_type text DEFAULT ''local''::text, id text DEFAULT NULL::text, description text DEFAULT NULL::text', 'text', 'v', 'u'),
	('drop_diagram', 'id text', 'void', 'v', 'u'),
	('set_storage_type', 'id text, storage_type text', 'void', 'v', 'u'),
	('share', 'local text, public text DEFAULT NULL::text, storage_type text DEFAULT ''public''::text', 'text', 'v', 'u'),
	('clone', 'public text, local text DEFAULT NULL::text, name text DEFAULT NULL::text', 'text', 'v', 'u'),
	('link', 'local text, public text', 'void', 'v', 'u'),
	('unlink', 'local text', 'void', 'v', 'u'),
	('put', 'diagram text, entities jsonb', 'integer', 'v', 'u'),
	('remove', 'diagram text, ids text[]', 'integer', 'v', 'u'),
	('status', 'local text, public text DEFAULT NULL::text', 'diagsync.sync_status', 's', 'r'),
	('status_all', '', 'SETOF diagsync.sync_status', 's', 'r'),
	('changes', 'local text', 'SETOF diagsync.change', 's', 'r'),
	('conflicts', 'local text', 'SETOF diagsync.change', 's', 'r'),
	('push', 'local text, public text DEFAULT NULL::text, on_conflict text DEFAULT ''abort''::text, dry_run boolean DEFAULT false, expected_plan text DEFAULT NULL::text, allow_deletions boolean DEFAULT false, entities text[] DEFAULT NULL::text[]', 'diagsync.sync_result', 'v', 'u'),
	('pull', 'local text, public text DEFAULT NULL::text, on_conflict text DEFAULT ''abort''::text, dry_run boolean DEFAULT false, expected_plan text DEFAULT NULL::text, allow_deletions boolean DEFAULT false, entities text[] DEFAULT NULL::text[]', 'diagsync.sync_result', 'v', 'u'),
	('discard', 'local text, entities text[], allow_deletions boolean DEFAULT false', 'diagsync.sync_result', 'v', 'u'),
	('resolve', 'local text, entity_id text, resolution text, doc jsonb DEFAULT NULL::jsonb, expected text DEFAULT NULL::text', 'diagsync.change', 'v', 'u'),
	('resolve_all', 'local text, resolution text, kinds text[] DEFAULT NULL::text[], paths text[] DEFAULT NULL::text[], entities text[] DEFAULT NULL::text[], allow_deletions boolean DEFAULT false', 'SETOF diagsync.resolve_result', 'v', 'u'),
	('resolve_many', 'local text, choices jsonb', 'SETOF diagsync.resolve_result', 'v', 'u'),
	('refresh', 'local text', 'diagsync.sync_status', 'v', 'u'),
	('merge', 'base jsonb, local jsonb, public jsonb, policy jsonb DEFAULT NULL::jsonb', 'diagsync.merge_result', 'i', 's'),
	('diff', 'old jsonb, new jsonb, policy jsonb DEFAULT NULL::jsonb', 'jsonb', 'i', 's'),
	('patch', 'doc jsonb, diff jsonb', 'jsonb', 'i', 's'),
	('match', 'old jsonb, new jsonb, policy jsonb DEFAULT NULL::jsonb', 'SETOF diagsync.entity_match', 'i', 's'),
	('set_merge_policy', 'diagram text, policy jsonb', 'jsonb', 'v', 'u'),
	('prune', 'idle interval DEFAULT NULL::interval', 'integer', 'v', 'u'),
	('progress', '', 'SETOF diagsync.sync_progress', 'v', 'r'),
	('principal', '', 'text', 's', 'r'),
	('access', 'diagram text', 'text', 's', 'r'),
	('add_member', 'diagram text, principal text, role text', 'void', 'v', 'u'),
	('remove_member', 'diagram text, principal text', 'void', 'v', 'u'),
	('set_owner', 'diagram text, principal text', 'void', 'v', 'u'),
	('create_token', 'diagram text, role text DEFAULT ''reader''::text, expires_in interval DEFAULT NULL::interval, label text DEFAULT NULL::text', 'text', 'v', 'u'),
	('revoke_token', 'id text', 'void', 'v', 'u'),
	('grant_usage', 'role text, anonymous boolean DEFAULT false', 'void', 'v', 'u'),
	('revoke_usage', 'role text', 'void', 'v', 'u'),
	('requested_diagram', '', 'text', 's', 'r'),
	('check_request', '', 'void', 's', 'r');

CREATE TEMPORARY TABLE columns (name text, columns text);
INSERT INTO columns VALUES
	('diagsync.sync_result', 'success boolean, documents_updated integer, inserted integer, updated integer, deleted integer, merged integer, resolved integer, conflicts integer, public_version bigint, plan text, refused_deletions integer, included text[], refused jsonb'),
	('diagsync.resolve_result', 'entity_id text, outcome text, conflict text, copy_id text, version text, refused_deletions integer'),
	('diagsync.sync_status', 'local_id text, public_id text, state text, diverged boolean, local_changes integer, public_changes integer, conflicts integer, last_synced_at timestamp with time zone, last_pushed_at timestamp with time zone, last_pulled_at timestamp with time zone, public_version bigint'),
	('diagsync.change', 'entity_id text, side text, local_change text, public_change text, conflict text, paths text[], base jsonb, local jsonb, public jsonb, local_modified_at timestamp with time zone, local_modified_by text, public_modified_at timestamp with time zone, public_modified_by text, version text'),
	('diagsync.sync_progress', 'pid integer, action text, phase text, entities_total integer, entities_done integer'),
	('diagsync.merge_result', 'merged jsonb, conflict boolean, paths text[], base_values jsonb[], local_values jsonb[], public_values jsonb[]'),
	('diagsync.entity_match', 'id text, old_id text, new_id text, by text, doc jsonb'),
	('diagsync.directory', 'id text, name text, description text, storage_type text, owner text, created_at timestamp with time zone, public_copy_id text, last_pushed_at timestamp with time zone, last_pulled_at timestamp with time zone, public_version bigint, merge_policy jsonb, seen pg_snapshot, seen_own bigint, seen_on text, compare_in_full boolean, seen_policy jsonb, max_entities integer, max_size bigint, feed_start bigint, feed_pruned bigint, seen_at timestamp with time zone'),
	('diagsync.member', 'diagram_id text, principal text, role text, added_at timestamp with time zone, added_by text'),
	('diagsync.access_token', 'id text, diagram_id text, secret_hash bytea, role text, label text, created_at timestamp with time zone, created_by text, expires_at timestamp with time zone'),
	('diagsync.sync_log', 'principal text, action text, local_id text, public_id text, called_at timestamp with time zone, duration_ms double precision, success boolean, inserted integer, updated integer, deleted integer, merged integer, resolved integer, conflicts integer, refused_deletions integer'),
	('diagsync_local.entity', 'diagram_id text, id text, doc jsonb, rev bigint, modified_at timestamp with time zone, modified_by text'),
	('diagsync_public.entity', 'diagram_id text, id text, doc jsonb, rev bigint, modified_at timestamp with time zone, modified_by text'),
	('diagsync_private.entity', 'diagram_id text, id text, doc jsonb, rev bigint, modified_at timestamp with time zone, modified_by text'),
	('diagsync_local.base', 'diagram_id text, id text, doc jsonb, changed_at timestamp with time zone, changed_by text, accepted text[], unknown boolean'),
	('diagsync_public.tombstone', 'diagram_id text, id text, rev bigint, deleted_at timestamp with time zone, deleted_by text'),
	('diagsync_private.tombstone', 'diagram_id text, id text, rev bigint, deleted_at timestamp with time zone, deleted_by text');

SELECT plan(5 * (SELECT count(*)::int FROM contract) + (SELECT count(*)::int FROM columns) + 5);

-- ---- Functions ---------------------------------------------------------------

SELECT line FROM contract AS c
  LEFT JOIN pg_proc AS p ON p.proname = c.name AND p.pronamespace = 'diagsync'::regnamespace,
  LATERAL (SELECT is(pg_get_function_arguments(p.oid), c.arguments, format('arguments of %s()', c.name)) AS line
	UNION ALL SELECT is(pg_get_function_result(p.oid), c.result, format('result of %s()', c.name))
	UNION ALL SELECT is(p.provolatile::text, c.volatility, format('volatility of %s()', c.name))
	UNION ALL SELECT is(p.proparallel::text, c.parallel, format('parallel safety of %s()', c.name))
	UNION ALL SELECT is((SELECT lanname::text FROM pg_language WHERE oid = p.prolang), 'c', format('%s() is written in C', c.name))
  ) AS lines;

-- ---- Types and tables --------------------------------------------------------

SELECT is((
	SELECT string_agg(attname || ' ' || format_type(atttypid, atttypmod), ', ' ORDER BY attnum)
	  FROM pg_attribute WHERE attrelid = to_regclass(c.name) AND attnum > 0 AND NOT attisdropped),
	c.columns, 'columns of ' || c.name) FROM columns AS c;

SELECT is((SELECT count(*) FROM pg_constraint WHERE contype = 'p' AND conrelid = ANY
	('{diagsync_local.entity,diagsync_public.entity,diagsync_private.entity,diagsync_local.base,
	 diagsync_public.tombstone,diagsync_private.tombstone}'::regclass[])
	AND pg_get_constraintdef(oid) = 'PRIMARY KEY (diagram_id, id)'), 6::bigint, 'the key of every storage table is (diagram_id, id)');
SELECT is_empty($$ SELECT attrelid::regclass, attname FROM pg_attribute JOIN pg_class AS c ON c.oid = attrelid
	WHERE relkind = 'r' AND relnamespace = ANY ('{diagsync_local,diagsync_public,diagsync_private}'::regnamespace[])
	AND attname IN ('id', 'diagram_id') AND attcollation <> (SELECT oid FROM pg_collation WHERE collname = 'C') $$,
	'text keys are collated "C"');
SELECT is((SELECT count(*) FROM pg_index WHERE indrelid = ANY ('{diagsync_public.entity,diagsync_private.entity}'::regclass[])
	AND pg_get_indexdef(indexrelid) LIKE '%(diagram_id, rev)'), 2::bigint, 'shared entities have an index on (diagram_id, rev)');
SELECT lives_ok($$ SELECT diagsync.put(diagsync.create_diagram(type, type), '[{"id": "e"}]')
	FROM unnest('{local,public,private}'::text[]) AS type $$, 'there are diagrams of each storage type');
SELECT is((SELECT jsonb_agg(jsonb_build_array(e.storage_type, name, e.id, doc, modified_by) ORDER BY name) FROM diagsync.entity AS e
	JOIN diagsync.directory AS d ON d.id = diagram_id),
	jsonb_build_array(jsonb_build_array('local', 'local', 'e', '{"id": "e"}'::jsonb, 'role:' || current_user),
		jsonb_build_array('private', 'private', 'e', '{"id": "e"}'::jsonb, 'role:' || current_user),
		jsonb_build_array('public', 'public', 'e', '{"id": "e"}'::jsonb, 'role:' || current_user)),
	'the view diagsync.entity shows the entities of all three');

SELECT * FROM finish();
ROLLBACK;
