-- Last: what a dump carries, and who may use it. Nothing is granted to PUBLIC.

SELECT pg_catalog.pg_extension_config_dump('diagsync.directory', '');
SELECT pg_catalog.pg_extension_config_dump('diagsync.member', '');
SELECT pg_catalog.pg_extension_config_dump('diagsync.access_token', '');
SELECT pg_catalog.pg_extension_config_dump('diagsync.sync_log', '');
SELECT pg_catalog.pg_extension_config_dump('diagsync_local.entity', '');
SELECT pg_catalog.pg_extension_config_dump('diagsync_local.base', '');
SELECT pg_catalog.pg_extension_config_dump('diagsync_public.entity', '');
SELECT pg_catalog.pg_extension_config_dump('diagsync_public.tombstone', '');
SELECT pg_catalog.pg_extension_config_dump('diagsync_private.entity', '');
SELECT pg_catalog.pg_extension_config_dump('diagsync_private.tombstone', '');

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA diagsync FROM PUBLIC;
REVOKE ALL ON TYPE diagsync.sync_status, diagsync.change, diagsync.sync_result,
	diagsync.merge_result, diagsync.sync_progress, diagsync.feed_page, diagsync.sync_preview FROM PUBLIC;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA diagsync_api FROM PUBLIC;
REVOKE ALL ON TYPE diagsync_api.change FROM PUBLIC;
