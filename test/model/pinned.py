"""Histories that failed once, with diagsync or with a safeguard of it taken out.
They are run before the random ones, and are what histories.py prints."""

HISTORIES = [
    # Deleted here and changed there in what is `latest`: the deletion keeps its time.
    [["create", "A"], ["put", "A", {"b": {"x": 2, "clock": 3}}], ["policy", "A", {"latest": ["/clock", "/at"]}],
     ["share", "A", "public"], ["clone", "B"], ["delete", "A", "b"], ["set", "P", "b", "at", {"p": 1}],
     ["push", "A", "both", False]],
    # Unpulled changes, and a push by another link, of what was planned before.
    [["create", "A"], ["share", "A", "public"], ["clone", "B"], ["create", "C"], ["link", "C"], ["push", "B", "local", True],
     ["push", "B", "abort", True], ["upsert", "C", "a", {"x": 1.25}], ["push", "B", "public", True],
     ["push", "C", "public", False], ["carry_out", 2]],
    # What a link pushed, deleted in the shared copy.
    [["create", "A"], ["share", "A", "public"], ["upsert", "A", "c", {"x": 1, "clock": 1}], ["push", "A", "newest", False],
     ["delete", "P", "c"]],
    # A plan that rests on a row that was lost, and is a deletion by now.
    [["create", "A"], ["put", "A", {"d": {"at": {"p": 1, "clock": 1}}}], ["share", "A", "public"], ["lose", "A", "d"],
     ["push", "A", "local", True, None], ["resolve", "A", 3, "local", {"x": 1, "clock": 1}, "now"], ["carry_out", 0]],
]
