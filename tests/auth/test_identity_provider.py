"""The keys of an issuer: which are taken, how often they are asked for, and what happens when nobody answers."""

import asyncio
import base64
import gzip
import hashlib
import json
import logging
import math
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from hypothesis import example, given
from hypothesis import strategies as st

from mediation_api.auth.identity_provider import (
    JwksAddress,
    JwksFile,
    KeySet,
    KeysUnavailable,
    OwnKeys,
    SigningKey,
    base64url,
    read_jwks,
    read_object,
)

URL = "https://idp.example/jwks"
MINUTE, HOUR = 60.0, 3600.0


def pem(private: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    return private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def new_key() -> SigningKey:
    return SigningKey.from_pem(pem(ec.generate_private_key(ec.SECP256R1())))


OLD, NEW = new_key(), new_key()
RSA = SigningKey.from_pem(pem(rsa.generate_private_key(public_exponent=65537, key_size=2048)))


def jwks(*keys: SigningKey) -> bytes:
    return json.dumps({"keys": [key.public_jwk() for key in keys]}).encode()


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Provider:
    """An identity provider whose answers the test decides, and which counts how often it was asked."""

    answer: bytes | int | Exception = b""
    asked: int = 0
    clock: Clock = field(default_factory=Clock)
    gate: asyncio.Event | None = None

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked += 1
        assert str(request.url) == URL
        if self.gate is not None:
            await self.gate.wait()
        if isinstance(self.answer, Exception):
            raise self.answer
        if isinstance(self.answer, int):
            return httpx.Response(self.answer, headers={"location": URL}, content=jwks(OLD))
        return httpx.Response(200, content=self.answer)

    def keyring(self) -> KeySet:
        return KeySet(JwksAddress(URL, httpx.MockTransport(self)), clock=self.clock)


async def knows(ring: KeySet, *keys: SigningKey) -> bool:
    return all([await ring.find(key.kid) is not None for key in keys])


# Rotation and freshness


async def test_known_keys_are_fetched_once_and_served_from_memory() -> None:
    provider = Provider(jwks(OLD, NEW))
    ring = provider.keyring()
    for _ in range(50):
        assert await knows(ring, OLD, NEW)
    assert provider.asked == 1


async def test_the_keys_are_as_old_as_their_last_reading() -> None:
    provider = Provider(jwks(OLD))
    ring = provider.keyring()
    assert ring.age_seconds == math.inf
    assert await knows(ring, OLD)
    assert ring.age_seconds == 0
    provider.answer, provider.clock.now = 500, provider.clock.now + HOUR
    assert await knows(ring, OLD)
    assert ring.age_seconds == HOUR


async def test_a_new_key_is_accepted_the_moment_it_is_used() -> None:
    provider = Provider(jwks(OLD))
    ring = provider.keyring()
    assert await knows(ring, OLD)
    provider.clock.now += MINUTE
    provider.answer = jwks(OLD, NEW)
    assert await knows(ring, NEW, OLD)
    assert provider.asked == 2


async def test_rotation_under_load_refuses_no_valid_token() -> None:
    """Publish the new key, sign with it a minute later, drop the old one an hour after; strangers shout throughout."""
    provider = Provider(jwks(OLD))
    ring = provider.keyring()
    refused = 0
    for second in range(3 * 3600):
        provider.clock.now += 1
        if second == 3600:
            provider.answer = jwks(OLD, NEW)
        if second == 7300:
            provider.answer = jwks(NEW)
        valid = [OLD] if second < 3661 else [OLD, NEW] if second < 7300 else [NEW]
        refused += not await knows(ring, *valid)
        if second % 10 == 0:
            assert await ring.find(f"made up {second}") is None
    assert refused == 0
    assert provider.asked <= 3 * 60 + 1


async def test_a_key_that_was_withdrawn_is_refused_ten_minutes_later() -> None:
    provider = Provider(jwks(OLD, NEW))
    ring = provider.keyring()
    assert await knows(ring, OLD)
    provider.answer = jwks(NEW)
    provider.clock.now += 10 * MINUTE - 1
    assert await knows(ring, OLD)
    provider.clock.now += 1
    assert not await knows(ring, OLD)
    assert await knows(ring, NEW)
    assert provider.asked == 2


async def test_a_set_without_keys_is_believed(caplog: pytest.LogCaptureFixture) -> None:
    provider = Provider(jwks(OLD))
    ring = provider.keyring()
    assert await knows(ring, OLD)
    provider.answer, provider.clock.now = jwks(), provider.clock.now + 10 * MINUTE
    with pytest.raises(KeysUnavailable, match="no usable key"):
        await ring.find(OLD.kid)
    assert not await ring.are_usable()
    assert "no usable key" in caplog.text


# Strangers


async def test_a_storm_of_unknown_kids_asks_at_most_once_a_minute() -> None:
    provider = Provider(jwks(OLD))
    ring = provider.keyring()
    for _ in range(60 * 10):
        provider.clock.now += 1
        found = await asyncio.gather(*(ring.find(f"made up {number}") for number in range(20)))
        assert found == [None] * 20
    assert provider.asked <= 10


async def test_a_storm_asks_no_more_often_while_the_provider_is_down() -> None:
    provider = Provider(httpx.ConnectError("down"))
    ring = provider.keyring()
    for _ in range(60 * 10):
        provider.clock.now += 1
        found = await asyncio.gather(
            *(ring.find(f"made up {number}") for number in range(20)), ring.are_usable(), return_exceptions=True
        )
        assert [type(each) for each in found] == [KeysUnavailable] * 20 + [bool]
    assert provider.asked <= 10


async def test_all_who_wait_share_one_request() -> None:
    provider = Provider(jwks(OLD), gate=asyncio.Event())
    ring = provider.keyring()
    waiting = [asyncio.create_task(ring.find(OLD.kid)) for _ in range(100)]
    await asyncio.sleep(0.01)
    assert provider.gate is not None
    provider.gate.set()
    assert all(await asyncio.gather(*waiting))
    assert provider.asked == 1


async def test_the_one_who_started_a_request_may_leave_without_harm_to_the_others() -> None:
    provider = Provider(jwks(OLD), gate=asyncio.Event())
    ring = provider.keyring()
    first = asyncio.create_task(ring.find(OLD.kid))
    await asyncio.sleep(0.01)
    second = asyncio.create_task(ring.find(OLD.kid))
    await asyncio.sleep(0.01)
    first.cancel()
    assert provider.gate is not None
    provider.gate.set()
    assert await second is not None
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_nobody_with_a_known_key_waits_for_a_stranger() -> None:
    provider = Provider(jwks(OLD))
    ring = provider.keyring()
    assert await knows(ring, OLD)
    provider.clock.now += MINUTE
    provider.gate = asyncio.Event()
    stranger = asyncio.create_task(ring.find("made up"))
    await asyncio.sleep(0.01)
    assert await asyncio.wait_for(knows(ring, OLD), 1)
    provider.gate.set()
    assert await stranger is None


# The provider is down


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(httpx.ConnectError("down"), id="refuses the connection"),
        pytest.param(httpx.ReadTimeout("slow"), id="does not answer in time"),
        pytest.param(500, id="answers 500"),
        pytest.param(302, id="sends us elsewhere"),
        pytest.param(404, id="answers 404"),
        pytest.param(b"<html>maintenance</html>", id="answers with a page"),
        pytest.param(b"[" * 60_000, id="answers nested deep"),
        pytest.param(b'{"keys": {}}', id="answers with another object"),
        pytest.param(b'{"keys": [], "keys": []}', id="answers with a name twice"),
        pytest.param(b"\xff\xfe", id="answers in no known encoding"),
        pytest.param(b" " * (64 * 1024) + jwks(OLD), id="answers without end"),
        pytest.param(RuntimeError("a fault of ours"), id="fails in a way nobody thought of"),
    ],
)
async def test_keys_stay_good_for_a_day_while_the_provider(
    answer: bytes | int | Exception, caplog: pytest.LogCaptureFixture
) -> None:
    provider = Provider(jwks(OLD))
    ring = provider.keyring()
    assert await knows(ring, OLD)
    provider.answer = answer
    for _ in range(47):
        provider.clock.now += HOUR / 2
        assert await knows(ring, OLD)
        await asyncio.sleep(0.001)  # time for the reading in the background to fail
    assert "could not be read" in caplog.text
    assert provider.asked > 40
    assert await ring.are_usable()
    provider.clock.now += HOUR / 2
    with pytest.raises(KeysUnavailable):
        await ring.find(OLD.kid)
    assert not await ring.are_usable()
    provider.answer, provider.clock.now = jwks(OLD), provider.clock.now + MINUTE
    assert await knows(ring, OLD)


async def test_a_provider_that_hangs_holds_up_one_request_and_then_no_other() -> None:
    provider = Provider(jwks(OLD))
    ring = provider.keyring()
    assert await knows(ring, OLD)
    provider.answer, provider.clock.now = 503, provider.clock.now + 10 * MINUTE
    assert await knows(ring, OLD)
    provider.clock.now += MINUTE
    provider.gate = asyncio.Event()
    assert await asyncio.wait_for(knows(ring, OLD), 1)
    await asyncio.sleep(0.01)
    assert provider.asked == 3
    provider.gate.set()
    await asyncio.sleep(0.01)


async def test_a_provider_that_never_answered_proves_nothing() -> None:
    provider = Provider(httpx.ConnectError("a name that must not be told"))
    ring = provider.keyring()
    with pytest.raises(KeysUnavailable) as unavailable:
        await ring.find(OLD.kid)
    assert str(unavailable.value) == "ConnectError"
    provider.answer, provider.clock.now = jwks(OLD), provider.clock.now + MINUTE
    assert await ring.are_usable()


async def test_a_health_check_does_not_wait_for_a_provider_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mediation_api.auth.identity_provider.READY_SECONDS", 0.02)
    provider = Provider(jwks(OLD), gate=asyncio.Event())
    ring = provider.keyring()
    for _ in range(3):
        assert not await asyncio.wait_for(ring.are_usable(), 1)
    assert provider.gate is not None
    provider.gate.set()
    assert await ring.find(OLD.kid) is not None
    assert await ring.are_usable()
    assert provider.asked == 1


async def test_health_checks_alone_ask_the_provider_only_once_its_keys_are_too_old() -> None:
    provider = Provider(jwks(OLD))
    ring = provider.keyring()
    for _ in range(47):
        assert await ring.are_usable()
        provider.clock.now += HOUR / 2
    assert provider.asked == 1
    provider.clock.now += HOUR
    assert await ring.are_usable()
    assert provider.asked == 2


async def test_a_body_that_drips_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mediation_api.auth.identity_provider.FETCH_SECONDS", 0.05)

    async def drip() -> AsyncIterator[bytes]:
        while True:
            await asyncio.sleep(0.01)
            yield b" "

    source = JwksAddress(URL, httpx.MockTransport(lambda _: httpx.Response(200, content=drip())))
    started = asyncio.get_running_loop().time()
    with pytest.raises(TimeoutError):
        await source.read()
    assert asyncio.get_running_loop().time() - started < 2


@pytest.mark.parametrize("date", [None, "yesterday", "Tue, 01 Dec 2026 02:00:00 -0000"])
async def test_a_server_that_tells_no_time_is_read_all_the_same(date: str | None) -> None:
    headers = {} if date is None else {"date": date}
    source = JwksAddress(URL, httpx.MockTransport(lambda _: httpx.Response(200, headers=headers, content=b"{}")))
    assert await source.read() == b"{}"
    assert source.clock_seconds is None


async def test_a_compressed_body_is_not_unfolded() -> None:
    body = gzip.compress(b" " * 10_000_000)
    answer = httpx.Response(200, headers={"content-encoding": "gzip"}, stream=httpx.ByteStream(body))
    source = JwksAddress(URL, httpx.MockTransport(lambda _: answer))
    with pytest.raises(ValueError, match="unencoded 200"):
        await source.read()


async def test_the_environment_cannot_put_a_proxy_in_between(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, object] = {}
    original = httpx.AsyncClient.__init__

    def spy(client: httpx.AsyncClient, **options: object) -> None:
        seen.update(options)
        original(client, transport=httpx.MockTransport(lambda _: httpx.Response(200, content=jwks(OLD))))

    monkeypatch.setattr(httpx.AsyncClient, "__init__", spy)
    await JwksAddress(URL).read()
    assert (seen["trust_env"], seen["follow_redirects"], seen["timeout"]) == (False, False, 5)


@pytest.mark.parametrize(
    "location",
    ["http://idp.example/jwks", "ftp://idp.example/jwks", "https://", "https://user:secret@idp.example/jwks"],
)
def test_an_address_must_be_https_and_without_credentials(location: str) -> None:
    with pytest.raises(ValueError, match="https") as refusal:
        KeySet.at(location)
    assert "secret" not in str(refusal.value)


# Files


async def test_a_file_is_read_again_as_soon_as_it_changes(tmp_path: Path) -> None:
    path, clock = tmp_path / "jwks.json", Clock()
    path.write_bytes(jwks(OLD))
    ring = KeySet(JwksFile(path), clock=clock)
    assert await knows(ring, OLD)
    path.write_bytes(jwks(NEW, RSA))
    assert not await knows(ring, OLD)
    assert await knows(ring, NEW, RSA)


async def test_a_file_is_not_read_while_it_stays_the_same(tmp_path: Path) -> None:
    path, clock = tmp_path / "jwks.json", Clock()
    path.write_bytes(jwks(OLD))
    source, reads = JwksFile(path), []
    original: Callable[[], bytes] = source._read

    def counted() -> bytes:
        reads.append(1)
        return original()

    source._read = counted  # type: ignore[method-assign]
    ring = KeySet(source, clock=clock)
    for _ in range(20):
        assert await knows(ring, OLD)
        assert await ring.find("made up") is None
    assert len(reads) == 1


@pytest.mark.parametrize(
    "damage", [b"", b"{", jwks(NEW) + b" " * 64 * 1024, None], ids=["empty", "half", "endless", "gone"]
)
async def test_a_damaged_or_missing_file_leaves_the_keys_as_they_were(tmp_path: Path, damage: bytes | None) -> None:
    path, clock = tmp_path / "jwks.json", Clock()
    path.write_bytes(jwks(OLD))
    ring = KeySet.at(str(path), clock=clock)
    assert await knows(ring, OLD)
    if damage is None:
        path.unlink()
    else:
        path.write_bytes(damage)
    assert await knows(ring, OLD)
    path.write_bytes(jwks(NEW, RSA))
    assert not await knows(ring, OLD)
    assert await knows(ring, NEW)


async def test_a_file_may_appear_later(tmp_path: Path) -> None:
    path = tmp_path / "jwks.json"
    ring = KeySet(JwksFile(path), clock=Clock())
    assert not await ring.are_usable()
    path.write_bytes(jwks(OLD))
    assert await knows(ring, OLD)


async def test_a_file_that_keeps_changing_is_read_by_one_reader_at_a_time() -> None:
    gate, readers = asyncio.Event(), 0

    class Restless:
        def changed(self) -> bool:
            return True

        async def read(self) -> bytes:
            nonlocal readers
            readers += 1
            await gate.wait()
            return jwks(OLD)

    ring = KeySet(Restless(), clock=Clock())
    waiting = [asyncio.create_task(ring.find(OLD.kid)) for _ in range(10)]
    await asyncio.sleep(0.01)
    assert readers == 1
    gate.set()
    assert all(await asyncio.gather(*waiting))


async def test_own_keys_need_no_file() -> None:
    ring = KeySet(OwnKeys(OLD, NEW), clock=Clock())
    assert await knows(ring, OLD, NEW)
    assert await ring.find(RSA.kid) is None
    assert not OwnKeys(OLD).changed()


# Which keys are taken


def numbers(key: SigningKey) -> dict[str, object]:
    return dict(key.public_jwk())


def b64(value: int) -> str:
    octets = value.to_bytes((value.bit_length() + 7) // 8 or 1, "big")
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def p384() -> dict[str, object]:
    point = ec.generate_private_key(ec.SECP384R1()).public_key().public_numbers()
    return {"kty": "EC", "crv": "P-384", "kid": "a", "x": b64(point.x), "y": b64(point.y)}


def without(jwk: dict[str, object], *names: str) -> dict[str, object]:
    return {name: value for name, value in jwk.items() if name not in names}


@pytest.mark.parametrize("key", [OLD, RSA], ids=["P-256", "RSA"])
def test_a_key_is_tied_to_one_algorithm_whether_or_not_it_says_so(key: SigningKey) -> None:
    for jwk in (numbers(key), without(numbers(key), "alg"), without(numbers(key), "use")):
        found = read_jwks(json.dumps({"keys": [jwk]}).encode())
        assert {name: taken.algorithm for name, taken in found.items()} == {key.kid: key.algorithm}


@pytest.mark.parametrize(
    "jwk",
    [
        pytest.param("a string", id="is not an object"),
        pytest.param(None, id="is null"),
        pytest.param(numbers(OLD) | {"use": "enc"}, id="is for encryption"),
        pytest.param(numbers(OLD) | {"use": None}, id="has a use that is null"),
        pytest.param(numbers(OLD) | {"alg": "ES384"}, id="names another algorithm of its family"),
        pytest.param(numbers(RSA) | {"alg": "PS256"}, id="names another padding"),
        pytest.param(numbers(RSA) | {"alg": "ES256"}, id="names an algorithm of another family"),
        pytest.param(numbers(RSA) | {"alg": "HS256"}, id="is RSA and names an HMAC"),
        pytest.param(numbers(RSA) | {"alg": "none"}, id="names no algorithm"),
        pytest.param(numbers(RSA) | {"alg": None}, id="has an algorithm that is null"),
        pytest.param({"kty": "oct", "kid": "a", "k": b64(2**256), "alg": "HS256"}, id="is a shared secret"),
        pytest.param({"kty": "OKP", "crv": "Ed25519", "kid": "a", "x": b64(2**255)}, id="is Ed25519"),
        pytest.param(p384(), id="is of another curve"),
        pytest.param(numbers(OLD) | {"crv": "P-384"}, id="says that it is of another curve"),
        pytest.param(without(numbers(OLD), "kid"), id="has no kid"),
        pytest.param(numbers(OLD) | {"kid": ""}, id="has an empty kid"),
        pytest.param(numbers(OLD) | {"kid": 7}, id="has a number for a kid"),
        pytest.param(numbers(OLD) | {"kid": "k" * 256}, id="has an endless kid"),
        pytest.param(without(numbers(OLD), "y"), id="lacks half its point"),
        pytest.param(numbers(OLD) | {"x": b64(5)}, id="is not on its curve"),
        pytest.param(numbers(OLD) | {"x": "not base64url!"}, id="is not base64url"),
        pytest.param(numbers(OLD) | {"x": "é"}, id="is not ASCII"),
        pytest.param(numbers(OLD) | {"d": b64(5)}, id="gives its private half away"),
        pytest.param(numbers(RSA) | {"n": b64((1 << 1023) + 1)}, id="is RSA of 1,024 bits"),
        pytest.param(numbers(RSA) | {"n": b64((1 << 2046) + 1)}, id="is RSA of 2,047 bits"),
        pytest.param(numbers(RSA) | {"n": b64((1 << 8192) + 1)}, id="is RSA of 8,193 bits"),
        pytest.param(numbers(RSA) | {"e": b64(1)}, id="is RSA with an exponent of one"),
    ],
)
def test_a_key_is_passed_over_when_it(jwk: object) -> None:
    found = read_jwks(json.dumps({"keys": [jwk, numbers(NEW)]}).encode())
    assert list(found) == [NEW.kid]


def test_a_kid_that_stands_for_two_keys_stands_for_neither() -> None:
    twice = [numbers(OLD) | {"kid": "a"}, numbers(NEW) | {"kid": "a"}, numbers(RSA)]
    assert list(read_jwks(json.dumps({"keys": twice}).encode())) == [RSA.kid]


@pytest.mark.parametrize(
    "private",
    [
        pytest.param(pem(ec.generate_private_key(ec.SECP384R1())), id="another curve"),
        pytest.param(
            pem(rsa.generate_private_key(public_exponent=65537, key_size=1024)),  # noqa: S505 - to be refused
            id="a short RSA key",
        ),
        pytest.param(b"not a key", id="no key"),
        pytest.param(b"", id="nothing"),
        pytest.param(
            ec.generate_private_key(ec.SECP256R1()).private_bytes(
                Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"password")
            ),
            id="an encrypted key",
        ),
    ],
)
def test_nothing_is_signed_with(private: bytes) -> None:
    with pytest.raises((ValueError, TypeError)):
        SigningKey.from_pem(private)


def test_a_kid_is_the_thumbprint_of_rfc_7638() -> None:
    """python-jose reads back what we publish, and the hash is over the members the RFC names, in its order."""
    members = {name: OLD.public_jwk()[name] for name in ("crv", "kty", "x", "y")}
    digest = hashlib.sha256(json.dumps(members, separators=(",", ":")).encode()).digest()
    assert OLD.kid == base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def test_no_key_is_ever_printed() -> None:
    assert "object at" not in repr(OLD)
    assert "key=" not in repr(OLD)


# JSON from strangers


@given(st.binary(max_size=300))
@example(b'{"a": NaN}')
@example(b'{"a": -Infinity}')
@example(b'{"a": {"b": 1, "b": 2}}')
@example(b'{"a":' * 5000)
@example(b"[]")
@example(b"1" * 5000)
def test_hostile_bytes_are_a_value_error_and_nothing_worse(document: bytes) -> None:
    try:
        value = read_object(document, brackets=10)
    except ValueError:
        return
    assert isinstance(value, dict)


@pytest.mark.parametrize("text", ["AA!A", "AA A", "AA\nAA", "AAAA====", "+/+/", "A", "ä"])
def test_base64url_is_read_strictly(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        base64url(text)


def test_the_log_names_the_fault_and_not_the_answer(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    provider = Provider(b'{"keys": "a name that must not be logged"}')
    assert not asyncio.run(provider.keyring().are_usable())
    assert "ValueError" in caplog.text
    assert "must not be logged" not in caplog.text
