"""Event sourcing of one session: records everything that enters and leaves the daemon, and reads such records.

A session record (`*.session.jsonl.gz`, beside the log) holds every input of the daemon (frames, timers, results of
I/O, operator commands) with its time and event-loop iteration, and every output that followed (requests, alerts,
events, decisions). That is enough for `session_replay` to run the same daemon again and to compare it line by line.

`io_interface` gives the daemon its only access to the outside: a clock, a dialer and a few awaited operations. It is
implemented by `recorder` in a live session and by `session_replay.player` in a replay. `format` defines the lines,
`writer` and `reader` handle the files; `core.parted_file` deletes old ones.

Imports: `core` up to `live` (it wraps `live.node_dependencies.Runtime`). Called by `app.runner`, which opens the record
of a session, by `session_replay`, and by `commands` for file names.
"""
