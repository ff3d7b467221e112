"""Event sourcing of one session: records the inputs and outputs of the trading core, and reads such records.

A session record (`*.session.jsonl.gz`, beside the log) holds every input of the trading core with its arguments, and
every output that followed (commands, events, decisions). That is enough for `session_replay` to run the same core again
and to compare it line by line. Frames, requests and alerts are recorded too, for people to look at.

`recorded_core` is the trading core that writes its inputs and outputs down, `recorded_sockets` keeps the frames, and
`recorder` gives both to the daemon. `format` and `json_values` define the lines, `line_decoder` reads them. `writer`
and `reader` handle the files; `core.parted_file` deletes old ones.

Imports: `core` up to `live` (it changes `live.node_dependencies.Runtime`). Called by `app.runner`, which opens the
record of a session, by `session_replay`, and by `commands` for file names.
"""
