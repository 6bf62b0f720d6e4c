/*
 * route.c
 *	  The part of an HTTP route that names a diagram: the web server hands it to
 *	  PostgREST in headers (examples/rest/nginx.conf), and these functions make
 *	  it count: requested_diagram(), check_request().
 *
 * Whoever sends the headers himself can only make things harder for himself.
 *
 * May call directory.c and request.c.
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/snapmgr.h"

#include "directory.h"
#include "function.h"
#include "request.h"

/* Names of shared diagrams that begin so do not exist on these routes. */
#define LOCAL_PREFIX "local-"

/*
 * The diagram of the route, palloc'd; NULL where the request has none.  Sets
 * whether it has one that cannot be a name.
 */
static char *
route_diagram(bool *is_bad)
{
	char	   *encoded = request_header("x-diagsync-diagram");
	char	   *id = encoded ? request_decode(encoded) : NULL;

	*is_bad = encoded != NULL && (id == NULL || id[0] == '\0');
	return *is_bad ? NULL : id;
}

/*
 * diagsync.requested_diagram()
 */
DIAGSYNC_FUNCTION(diagsync_requested_diagram)
{
	bool		is_bad;
	char	   *id = route_diagram(&is_bad);

	if (id == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(id));
}

/*
 * diagsync.check_request(): what PostgREST calls before each request
 *
 * A table that has no rows for a caller is an empty answer; a diagram that he
 * may not see has to be none.
 */
DIAGSYNC_FUNCTION(diagsync_check_request)
{
	bool		is_bad;
	char	   *id = route_diagram(&is_bad);
	char	   *type = request_header("x-diagsync-storage");
	StorageType storage = STORAGE_LOCAL;
	Diagram    *diagram;

	if (id == NULL && !is_bad)
		PG_RETURN_VOID();
	if (is_bad || type == NULL || !storage_parse(type, &storage) ||
		(storage != STORAGE_LOCAL &&
		 strncmp(id, LOCAL_PREFIX, strlen(LOCAL_PREFIX)) == 0))
		(void) directory_need(NULL, id ? id : "");
	diagram = directory_see(id, ACCESS_READER, GetActiveSnapshot());
	if (diagram->storage != storage)
		(void) directory_need(NULL, id);
	PG_RETURN_VOID();
}
