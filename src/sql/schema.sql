-- The schemas: one for the functions, one for each storage type.

CREATE SCHEMA diagsync;
COMMENT ON SCHEMA diagsync IS
'diagsync: the directory of diagrams and the functions that share, push, pull, compare and resolve';

CREATE SCHEMA diagsync_local;
COMMENT ON SCHEMA diagsync_local IS
'diagsync: the entities of local diagrams and what they were changed from';

CREATE SCHEMA diagsync_public;
COMMENT ON SCHEMA diagsync_public IS
'diagsync: the entities of public diagrams and which ones were deleted';

CREATE SCHEMA diagsync_private;
COMMENT ON SCHEMA diagsync_private IS
'diagsync: the entities of private shared diagrams and which ones were deleted';
