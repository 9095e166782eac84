"""Keys, and tokens that they sign, good and bad."""

import base64
import json
import time
from collections.abc import Callable
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

Claims = dict[str, Any]

# Of elliptic curves: the curve, the hash, its name in a key and the bytes of a coordinate.
CURVES = {
    "ES256": (ec.SECP256R1(), hashes.SHA256(), "P-256", 32),
    "ES384": (ec.SECP384R1(), hashes.SHA384(), "P-384", 48),
    "ES512": (ec.SECP521R1(), hashes.SHA512(), "P-521", 66),
}
HASHES = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}


def encoded(content: bytes | str | Claims) -> str:
    """In base64url without padding."""
    if isinstance(content, dict):
        content = json.dumps(content, separators=(",", ":"))
    content = content.encode() if isinstance(content, str) else content
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def number(value: int, size: int) -> str:
    """A large number as keys write it."""
    return encoded(value.to_bytes(size, "big"))


class Key:
    """A private key for one algorithm."""

    def __init__(self, algorithm: str, name: str) -> None:
        self.algorithm, self.name = algorithm, name
        self._private: Any
        if algorithm in CURVES:
            self._private = ec.generate_private_key(CURVES[algorithm][0])
        elif algorithm == "EdDSA":
            self._private = ed25519.Ed25519PrivateKey.generate()
        else:
            self._private = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    def public(self) -> dict[str, str]:
        """As a member of a key set."""
        common = {"kid": self.name, "alg": self.algorithm, "use": "sig"}
        public = self._private.public_key()
        if self.algorithm in CURVES:
            _, _, curve, size = CURVES[self.algorithm]
            point = public.public_numbers()
            x, y = number(point.x, size), number(point.y, size)
            return {**common, "kty": "EC", "crv": curve, "x": x, "y": y}
        if self.algorithm == "EdDSA":
            return {
                **common,
                "kty": "OKP",
                "crv": "Ed25519",
                "x": encoded(public.public_bytes_raw()),
            }
        numbers = public.public_numbers()
        return {**common, "kty": "RSA", "n": number(numbers.n, 256), "e": number(numbers.e, 3)}

    def sign(self, message: bytes) -> bytes:
        """A signature as tokens have it."""
        if self.algorithm in CURVES:
            _, digest, _, size = CURVES[self.algorithm]
            pair = decode_dss_signature(self._private.sign(message, ec.ECDSA(digest)))
            return b"".join(part.to_bytes(size, "big") for part in pair)
        if self.algorithm == "EdDSA":
            signature: bytes = self._private.sign(message)
            return signature
        digest = HASHES[self.algorithm[2:]]
        plain = padding.PKCS1v15()
        salted = padding.PSS(padding.MGF1(digest), digest.digest_size)
        signed: bytes = self._private.sign(
            message, salted if self.algorithm.startswith("PS") else plain, digest
        )
        return signed

    def token(self, claims: Claims, **header: Any) -> str:
        """A token with these claims; `header` adds to its header, and None takes away."""
        full = {"alg": self.algorithm, "kid": self.name, "typ": "JWT", **header}
        full = {name: value for name, value in full.items() if value is not None}
        signed = f"{encoded(full)}.{encoded(claims)}"
        return f"{signed}.{encoded(self.sign(signed.encode()))}"


ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", *CURVES, "EdDSA")
KEYS = {algorithm: Key(algorithm, algorithm.lower()) for algorithm in ALGORITHMS}
MAIN = KEYS["ES256"]
# Nobody knows its public half.
FOREIGN = Key("ES256", "es256")
NOW = int(time.time())

RICH: Claims = {
    "sub": "ann",
    "scope": "read write",
    "admin": True,
    "level": 7,
    "share": 1.5,
    "org": {"tenant": "red", "name": "Red"},
    "roles": ["reader", "writer"],
}


def key_set() -> str:
    """The keys that everybody trusts."""
    return json.dumps({"keys": [key.public() for key in KEYS.values()]})


def broken(token: str) -> str:
    """The same with a signature that is not its own."""
    head, _, signature = token.rpartition(".")
    return f"{head}.{signature[::-1]}"


def claims(issuer: str, **more: Any) -> Claims:
    """Those of a token for the API that is valid for an hour."""
    full = {"iss": issuer, "aud": "api", "exp": NOW + 3600, **more}
    return {name: value for name, value in full.items() if value is not None}


def named() -> dict[str, str]:
    """All tokens by the name that the cases call them by."""
    good = claims("a")
    sign: Callable[..., str] = MAIN.token
    made = {
        "a": sign(good),
        "b": sign(claims("b")),
        "c": sign(claims("c")),
        "stranger": sign(claims("x")),
        "nobody": sign(claims("a", iss=None)),
        "rich": sign(claims("a", **RICH)),
        "expired": sign(claims("a", exp=NOW - 300)),
        "just-expired": sign(claims("a", exp=NOW - 30)),
        "early": sign(claims("a", nbf=NOW + 300)),
        "just-early": sign(claims("a", nbf=NOW + 30)),
        "endless": sign(claims("a", exp=None)),
        "others": sign(claims("a", aud="others")),
        "several": sign(claims("a", aud=["x", "api"])),
        "for-nobody": sign(claims("a", aud=None)),
        "admin": sign(claims("a", aud="admin")),
        "url-audience": sign(claims("a", aud="https://api/")),
        "text-time": sign(claims("a", exp="9999999999")),
        "forged": FOREIGN.token(good),
        "forged-b": FOREIGN.token(claims("b")),
        "broken": broken(sign(good)),
        "unknown-key": sign(good, kid="other"),
        "no-key-name": sign(good, kid=None),
        "number-key-name": sign(good, kid=7),
        "wrong-algorithm": sign(good, alg="RS256"),
        "no-algorithm": sign(good, alg=None),
        "critical": sign(good, crit=["exp"]),
        "symmetric": KEYS["RS256"].token(good, alg="HS256"),
        "unsigned": f"{encoded({'alg': 'none'})}.{encoded(good)}.",
        "two-parts": ".".join(sign(good).split(".")[:2]),
        "four-parts": sign(good) + ".x",
        "no-json": f"{encoded('{')}.{encoded(good)}.{encoded('x')}",
        "no-payload": f"{encoded({'alg': 'ES256'})}.{encoded('x')}.{encoded('x')}",
        "padded": sign(good) + "==",
    }
    return made | {name: key.token(good) for name, key in KEYS.items()}
