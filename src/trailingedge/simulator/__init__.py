"""The embedded exchange. It imports only the words: it must not borrow the code it judges."""
