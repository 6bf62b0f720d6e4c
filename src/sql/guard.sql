-- The event trigger that keeps the tables out of inheritance and partition trees
-- (guard.c).

CREATE FUNCTION diagsync.guard_tables() RETURNS event_trigger
	AS 'MODULE_PATHNAME', 'diagsync_guard_tables'
	LANGUAGE C PARALLEL UNSAFE;
COMMENT ON FUNCTION diagsync.guard_tables() IS
'event trigger: refuses to make a table of diagsync the child or the parent of another, whose changes would not be captured';

CREATE EVENT TRIGGER diagsync_guard_tables ON ddl_command_end
	WHEN TAG IN ('CREATE TABLE', 'ALTER TABLE', 'CREATE FOREIGN TABLE', 'ALTER FOREIGN TABLE', 'CREATE SCHEMA')
	EXECUTE FUNCTION diagsync.guard_tables();
COMMENT ON EVENT TRIGGER diagsync_guard_tables IS
'refuses to make a table of diagsync the child or the parent of another';
SELECT diagsync.guard_tables();
