"""The WebSocket API: one connection's session, and a handler for each request method.

`session` parses a frame, checks API key, signature and timestamp, charges the request weight and calls the
handler. `method_types` defines what a handler receives and what it costs; `market`, `account` and `orders` hold
the handlers. A handler reads its parameters, asks the exchange and returns the `result` object, or raises
`ExchangeError`, which the session turns into an error frame.

The package imports `core`, `model` and the rest of `simulator`, never a socket:
`simulator.connection_hub` passes the text of each frame in and sends the reply. Only
`connection_hub` and `stream_session` call the package.
"""
