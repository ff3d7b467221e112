"""Replay of a recorded session: runs the daemon again on recorded inputs and compares its output.

Not to be confused with `backtest`, which runs the strategy on recorded *markets*. A session replay
answers two questions. Does this version of the program still do the same as the recorded one, byte
for byte? And with other settings, where does it first act differently, and why?

`run.replay_session` is the entry point. `player` feeds the inputs, `run_alignment` and `comparable`
compare the outputs. `explain_divergence` explains a difference in the words of the status and of
the command `why`; `formatting` and `result_text` print it. `session_report` builds the report of a
recorded session by observing its replay.

Imports: `eventlog` (the records), `live` (the daemon), `notifications` and `report` (the words),
and the virtual event loop of `simulator`. Called by `commands.replay` and `commands.report`. They
import this package only for a session, because it loads the whole daemon.
"""
