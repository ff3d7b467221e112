"""The exchange connection: WebSocket sockets, sessions, streams, requests, and the parsing of their JSON.

Frames come in through `socket_dialer`; `connection_supervisor` keeps a connection open; `api_client`, `market_stream`
and `trade_stream` build on it. `orders` and `account` send requests, `event_parser` and `result_parser` turn JSON into
types of `model`, `error_codes` says what an error means. Outside this package there is no raw JSON.

Imports core, model and auth (for the logon), and the library `websockets` in two modules only.
Used by `live`, which builds the connections and runs them, by `app` and `commands` (checks, account history), and by
`eventlog`, which puts a recorder between this package and the sockets. `reconciliation` and `execution` use a few of
its types. The simulator does not use it: it must not depend on the code that it tests.
"""
