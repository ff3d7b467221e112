import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from trailingedge.simulator.errors import ExchangeError
from trailingedge.simulator.keys import KeyRing

# The key and the signatures of the fact sheet's own test vectors (seed of RFC 8032, test 1).
VECTOR_KEY = Ed25519PrivateKey.from_private_bytes(
    bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
)
PAYLOAD = "apiKey=TESTKEY&recvWindow=5000&timestamp=1750000000000"
SIGNATURE = "iGyZ0iLu3vlfu8q2MlAJc48Ua1vVyl748VjZlJjwWVx+EZnTT/G1klDL1X/pFQVN9RAI4kVtwou1VHWQn5qkDA=="


def a_ring() -> KeyRing:
    ring = KeyRing()
    ring.register(VECTOR_KEY.public_key(), "owner", "TESTKEY")
    return ring


def test_a_signature_by_the_key_is_verified() -> None:
    a_ring().verify("TESTKEY", PAYLOAD, SIGNATURE)


@pytest.mark.parametrize(
    ("payload", "signature"),
    [
        pytest.param(PAYLOAD + "0", SIGNATURE, id="over another text"),
        pytest.param(PAYLOAD, SIGNATURE.replace("iGy", "iGz"), id="altered"),
        pytest.param(PAYLOAD, SIGNATURE.rstrip("="), id="without padding"),
        pytest.param(PAYLOAD, "00" * 64, id="in hexadecimal"),
        pytest.param(PAYLOAD, "", id="none"),
        pytest.param(PAYLOAD, "ä", id="not even ASCII"),
    ],
)
def test_any_other_signature_is_refused(payload: str, signature: str) -> None:
    with pytest.raises(ExchangeError) as refusal:
        a_ring().verify("TESTKEY", payload, signature)
    assert (refusal.value.code, refusal.value.text) == (-1022, "Signature for this request is not valid.")


def test_a_key_gives_access_to_its_account_until_it_is_revoked() -> None:
    ring = a_ring()
    assert ring.account_of("TESTKEY") == "owner"
    ring.revoke("TESTKEY")
    with pytest.raises(ExchangeError) as refusal:
        ring.account_of("TESTKEY")
    assert (refusal.value.code, refusal.value.status) == (-2015, 401)


def test_a_malformed_key_has_its_own_error() -> None:
    with pytest.raises(ExchangeError) as refusal:
        a_ring().account_of("no such thing")
    assert refusal.value.code == -2014
    with pytest.raises(ValueError, match="no such thing"):
        a_ring().register(VECTOR_KEY.public_key(), "owner", "no such thing")


def test_an_api_key_is_by_default_a_hash_of_the_public_key() -> None:
    ring = KeyRing()
    name = ring.register(VECTOR_KEY.public_key(), "owner")
    assert name == KeyRing().register(VECTOR_KEY.public_key(), "owner")
    assert len(name) == 64
