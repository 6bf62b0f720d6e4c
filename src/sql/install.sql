-- Last: what a dump carries, and who may use it (initialprivileges.c). Nothing is granted
-- to PUBLIC.

SELECT pg_catalog.pg_extension_config_dump('diagsync.directory', '');
SELECT pg_catalog.pg_extension_config_dump('diagsync.member', '');
SELECT pg_catalog.pg_extension_config_dump('diagsync.access_token', '');
SELECT pg_catalog.pg_extension_config_dump('diagsync.known_role', '');
SELECT pg_catalog.pg_extension_config_dump('diagsync.sync_log', '');
SELECT pg_catalog.pg_extension_config_dump('diagsync_local.entity', '');
SELECT pg_catalog.pg_extension_config_dump('diagsync_local.base', '');
SELECT pg_catalog.pg_extension_config_dump('diagsync_public.entity', '');
SELECT pg_catalog.pg_extension_config_dump('diagsync_public.tombstone', '');
SELECT pg_catalog.pg_extension_config_dump('diagsync_private.entity', '');
SELECT pg_catalog.pg_extension_config_dump('diagsync_private.tombstone', '');

CREATE FUNCTION diagsync.set_initial_privileges() RETURNS void
	AS 'MODULE_PATHNAME', 'diagsync_set_initial_privileges'
	LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION diagsync.set_initial_privileges() IS
'for the install script alone: leaves every object of the extension to its owner, whatever the default privileges are';
SELECT diagsync.set_initial_privileges();
