from base64 import b64encode

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256

from trailingedge.simulator.errors import ExchangeError
from trailingedge.simulator.keys import HmacSecret, KeyRing

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


# The HMAC example of the exchange's documentation: key, payload and signature.
HMAC_SECRET = HmacSecret(b"NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j")
HMAC_PAYLOAD = (
    "symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=0.1&recvWindow=5000&timestamp=1499827319559"
)
HMAC_SIGNATURE = "c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71"


def test_a_secret_signs_in_hexadecimal_of_either_case() -> None:
    ring = KeyRing()
    name = ring.register(HMAC_SECRET, "owner")
    ring.verify(name, HMAC_PAYLOAD, HMAC_SIGNATURE)
    ring.verify(name, HMAC_PAYLOAD, HMAC_SIGNATURE.upper())
    for wrong in (HMAC_SIGNATURE[:-1], "", "ä", " " + HMAC_SIGNATURE):
        with pytest.raises(ExchangeError, match="-1022"):
            ring.verify(name, HMAC_PAYLOAD, wrong)


def test_an_rsa_key_signs_in_base64() -> None:
    ring, private_key = KeyRing(), generate_private_key(65537, 2048)
    name = ring.register(private_key.public_key(), "owner")
    signature = b64encode(private_key.sign(PAYLOAD.encode(), PKCS1v15(), SHA256())).decode()
    ring.verify(name, PAYLOAD, signature)
    with pytest.raises(ExchangeError, match="-1022"):
        ring.verify(name, PAYLOAD + "0", signature)
    with pytest.raises(ExchangeError, match="RSA API key is not supported"):
        ring.check_can_log_on(name)


def test_only_ed25519_can_log_on() -> None:
    ring = a_ring()
    ring.check_can_log_on("TESTKEY")
    ring.register(HMAC_SECRET, "owner", "SHARED")
    with pytest.raises(ExchangeError, match="HMAC-SHA-256 API key is not supported") as refusal:
        ring.check_can_log_on("SHARED")
    assert refusal.value.code == -2028
