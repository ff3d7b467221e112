"""Console: reads hotkeys from the terminal, and shows lines and a live status panel there.

`ui_selection` opens the UI that fits the standard output: `plain_ui` prints lines, and the status as a heartbeat once a
minute; `live_ui` redraws a status panel below the lines. `status_panel` composes the panel's rows, `screen` decides
what to write where, `terminal` controls the device on Linux and Windows. `hotkeys` reads the keyboard.

All writing and reading happens in threads, so that a slow terminal never delays a tick. The package may import `core`,
`model` and `notifications`. It is used by `main` and `app.runner`; `live` uses only the protocol `plain_ui.OperatorUi`.
"""
