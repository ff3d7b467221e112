"""Authentication: the API key, the signatures of requests, and the permissions of the key.

`manager` has the key pair and signs; `logon_signer` and `signing_process` keep the private key out of this process;
`api_key_permissions` asks the exchange what the key may do. No log line, error text or `repr` here carries key or
signature.

Imports core alone, and `cryptography` and `httpx` only where they are used, since both are slow to import.
Called by `websocket.account` (logon), by `live` and `commands` (checks before a start), and by `app`, which loads the
key.
"""
