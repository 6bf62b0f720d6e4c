-- The triggers that capture changes of the storage tables (trigger.c,
-- capture.c).

CREATE FUNCTION diagsync.open_statement() RETURNS trigger
	AS 'MODULE_PATHNAME', 'diagsync_open_statement'
	LANGUAGE C PARALLEL UNSAFE;
COMMENT ON FUNCTION diagsync.open_statement() IS
'trigger of the entity tables: notes that a statement has begun whose changes are not captured yet; named so that it fires before triggers of applications';

CREATE FUNCTION diagsync.stamp_entity() RETURNS trigger
	AS 'MODULE_PATHNAME', 'diagsync_stamp_entity'
	LANGUAGE C PARALLEL UNSAFE;
COMMENT ON FUNCTION diagsync.stamp_entity() IS
'trigger of the entity tables: stamps an updated row and refuses a change of its key; named so that it fires after triggers of applications';

CREATE FUNCTION diagsync.capture_changes() RETURNS trigger
	AS 'MODULE_PATHNAME', 'diagsync_capture_changes'
	LANGUAGE C PARALLEL UNSAFE;
COMMENT ON FUNCTION diagsync.capture_changes() IS
'trigger of the entity and tombstone tables: captures what a statement changed, as base rows and tombstones, and recognizes restored rows';

CREATE FUNCTION diagsync.refuse_truncate() RETURNS trigger
	AS 'MODULE_PATHNAME', 'diagsync_refuse_truncate'
	LANGUAGE C PARALLEL UNSAFE;
COMMENT ON FUNCTION diagsync.refuse_truncate() IS
'trigger of all tables but the directory, which has its own: refuses TRUNCATE, which would bypass change capture and row-level security';

CREATE TRIGGER "!diagsync_open_statement"
	BEFORE INSERT OR UPDATE OR DELETE ON diagsync_local.entity FOR EACH STATEMENT
	EXECUTE FUNCTION diagsync.open_statement();
CREATE TRIGGER "~diagsync_stamp_entity"
	BEFORE UPDATE OR DELETE ON diagsync_local.entity FOR EACH ROW
	EXECUTE FUNCTION diagsync.stamp_entity();
CREATE TRIGGER diagsync_capture_insert
	AFTER INSERT ON diagsync_local.entity
	REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT
	EXECUTE FUNCTION diagsync.capture_changes();
CREATE TRIGGER diagsync_capture_update
	AFTER UPDATE ON diagsync_local.entity
	REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT
	EXECUTE FUNCTION diagsync.capture_changes();
CREATE TRIGGER diagsync_capture_delete
	AFTER DELETE ON diagsync_local.entity
	REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT
	EXECUTE FUNCTION diagsync.capture_changes();
CREATE TRIGGER diagsync_refuse_truncate
	BEFORE TRUNCATE ON diagsync_local.entity FOR EACH STATEMENT
	EXECUTE FUNCTION diagsync.refuse_truncate();
CREATE TRIGGER diagsync_refuse_truncate
	BEFORE TRUNCATE ON diagsync_local.base FOR EACH STATEMENT
	EXECUTE FUNCTION diagsync.refuse_truncate();

CREATE TRIGGER "!diagsync_open_statement"
	BEFORE INSERT OR UPDATE OR DELETE ON diagsync_public.entity FOR EACH STATEMENT
	EXECUTE FUNCTION diagsync.open_statement();
CREATE TRIGGER "~diagsync_stamp_entity"
	BEFORE UPDATE OR DELETE ON diagsync_public.entity FOR EACH ROW
	EXECUTE FUNCTION diagsync.stamp_entity();
CREATE TRIGGER diagsync_capture_insert
	AFTER INSERT ON diagsync_public.entity
	REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT
	EXECUTE FUNCTION diagsync.capture_changes();
CREATE TRIGGER diagsync_capture_update
	AFTER UPDATE ON diagsync_public.entity
	REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT
	EXECUTE FUNCTION diagsync.capture_changes();
CREATE TRIGGER diagsync_capture_delete
	AFTER DELETE ON diagsync_public.entity
	REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT
	EXECUTE FUNCTION diagsync.capture_changes();
CREATE TRIGGER diagsync_refuse_truncate
	BEFORE TRUNCATE ON diagsync_public.entity FOR EACH STATEMENT
	EXECUTE FUNCTION diagsync.refuse_truncate();
CREATE TRIGGER diagsync_capture_insert
	AFTER INSERT ON diagsync_public.tombstone
	REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT
	EXECUTE FUNCTION diagsync.capture_changes();
CREATE TRIGGER diagsync_refuse_truncate
	BEFORE TRUNCATE ON diagsync_public.tombstone FOR EACH STATEMENT
	EXECUTE FUNCTION diagsync.refuse_truncate();

CREATE TRIGGER "!diagsync_open_statement"
	BEFORE INSERT OR UPDATE OR DELETE ON diagsync_private.entity FOR EACH STATEMENT
	EXECUTE FUNCTION diagsync.open_statement();
CREATE TRIGGER "~diagsync_stamp_entity"
	BEFORE UPDATE OR DELETE ON diagsync_private.entity FOR EACH ROW
	EXECUTE FUNCTION diagsync.stamp_entity();
CREATE TRIGGER diagsync_capture_insert
	AFTER INSERT ON diagsync_private.entity
	REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT
	EXECUTE FUNCTION diagsync.capture_changes();
CREATE TRIGGER diagsync_capture_update
	AFTER UPDATE ON diagsync_private.entity
	REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT
	EXECUTE FUNCTION diagsync.capture_changes();
CREATE TRIGGER diagsync_capture_delete
	AFTER DELETE ON diagsync_private.entity
	REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT
	EXECUTE FUNCTION diagsync.capture_changes();
CREATE TRIGGER diagsync_refuse_truncate
	BEFORE TRUNCATE ON diagsync_private.entity FOR EACH STATEMENT
	EXECUTE FUNCTION diagsync.refuse_truncate();
CREATE TRIGGER diagsync_capture_insert
	AFTER INSERT ON diagsync_private.tombstone
	REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT
	EXECUTE FUNCTION diagsync.capture_changes();
CREATE TRIGGER diagsync_refuse_truncate
	BEFORE TRUNCATE ON diagsync_private.tombstone FOR EACH STATEMENT
	EXECUTE FUNCTION diagsync.refuse_truncate();
