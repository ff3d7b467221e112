"""Application: runs one trading session for the command line.

`bootstrap` dials the connections and imports the other modules. `runner` then opens the environment of the trading mode
(`environments`), builds the node, and runs it together with record, alerts, hotkeys, control socket and watchdog.
`settings_reload` applies changed settings. `run_options` defines the options that `main` passes to `runner`.

This package may import every other package. It is one of the few packages that use all settings
(`tests/test_architecture.py` names them). Only `main` calls it. `main` passes to a command those functions of
`environments` that it needs.
"""
