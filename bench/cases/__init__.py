"""All cases, in the order in which they run: what is measured right after a share
comes before what pushes."""

from cases import bulk, changes, conflicts, doltlite, edits, merge, pouchdb, size, status

CASES = (
    bulk.Bulk, bulk.Share, size.Size, merge.Merge,
    changes.Changes, conflicts.Conflicts, conflicts.Resolutions, status.Changed, edits.Edits, edits.Writers,
    status.Shared, status.Pushed, status.Open, changes.Few, status.All, pouchdb.PouchDB, doltlite.DoltLite,
)
