"""Replay of a recorded session: gives its inputs to the trading core again and compares the core's outputs.

Not to be confused with `backtest`, which runs the strategy on recorded *markets*. A session replay answers two
questions. Does this version of the program still make the same decisions as the version that recorded the session? And
with other settings, where does the program first act differently, and why?

`run.replay_session` is the entry point. `recorded_steps` and `record_decoder` read the inputs, `replayed_core` gives
them to a trading core, `comparable` compares the outputs. `explain_divergence` explains a difference in the words of
the status and of the command `why`; `formatting` and `result_text` print it. `session_report` builds the report of a
recorded session by observing its replay.

Imports: `eventlog` (the records), `live` (the factories), `notifications` and `report` (the words). Called by
`commands.replay`, `commands.report` and `backtest.as_market`. They import this package only for a session.
"""
