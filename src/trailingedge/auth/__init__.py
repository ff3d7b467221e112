"""Authentication: the API key, the signatures of requests, and the permissions of the key."""
