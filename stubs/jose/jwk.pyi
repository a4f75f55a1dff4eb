from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from jose.backends.base import Key

def construct(
    key_data: EllipticCurvePrivateKey | EllipticCurvePublicKey | RSAPrivateKey | RSAPublicKey,
    algorithm: str,
) -> Key: ...
