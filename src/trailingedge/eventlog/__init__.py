"""Event sourcing of one session: records the inputs and outputs of the trading core, and reads such records.

A session record (`*.session.jsonl.gz`, in the folder of the log) holds every input of the trading core with its
arguments, and every output that followed (commands, events, decisions). That is enough for `session_replay` to run the
same core again and to compare its outputs line by line. Frames, requests and alerts are recorded too, for people to
look at.

`recorded_core` is a trading core that records its inputs and outputs, `recorded_sockets` records the frames, and
`recorder` makes the daemon use both. `format` and `json_values` define the lines, `line_decoder` reads them. `writer`
and `reader` handle the files; `core.parted_file` deletes old files.

Imports: `core` up to `live` (it changes `live.node_dependencies.Runtime`). Called by `app.runner`, which opens the
record of a session, by `session_replay`, and by `commands` for file names.
"""
