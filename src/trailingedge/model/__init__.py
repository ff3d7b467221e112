"""Model: the vocabulary that all packages share, as values that never change and check themselves.

Instruments, prices and balances (`market`), the newest data of the streams (`market_state`), what
the strategy wants (`intent`), execution's requests and their outcomes (`order_commands`,
`order_requests`, `order_outcomes`), the names of our orders (`client_order_ids`) and the operator's
commands (`operator_commands`). This package imports only `core`. Every other package imports it,
and so does the simulator, which shares nothing else with the code that it tests.
"""
