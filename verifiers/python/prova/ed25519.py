"""Ed25519 signatures under the strict profile (RFC 8032, and what it leaves open).

A key is admitted if it is canonically encoded and a point of the prime-order
subgroup other than the identity. A signature holds if S is below the group order,
R is canonical and not of small order, and the equation without the cofactor holds.
Only verification is here: nothing is secret, so nothing runs in constant time.
"""

from __future__ import annotations

import hashlib
from typing import Dict, FrozenSet, List, Optional, Tuple

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
D2 = 2 * D % P
SQRT_M1 = pow(2, (P - 1) // 4, P)

Point = Tuple[int, int, int, int]  # extended coordinates X, Y, Z, T with x = X/Z, y = Y/Z, xy = T/Z
Prepared = Tuple[int, int, int]  # y+x, y-x, 2dxy of an affine point: what an addition needs of it

IDENTITY: Point = (0, 1, 1, 0)


class KeyRefused(ValueError):
    """Why a public key is not admitted."""


class SignatureRefused(ValueError):
    """Why a signature does not hold."""


def add(p: Point, q: Point) -> Point:
    x1, y1, z1, t1 = p
    x2, y2, z2, t2 = q
    a = (y1 - x1) * (y2 - x2) % P
    b = (y1 + x1) * (y2 + x2) % P
    c = t1 * D2 % P * t2 % P
    d = 2 * z1 * z2 % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def double(p: Point) -> Point:
    x1, y1, z1, _ = p
    a = x1 * x1 % P
    b = y1 * y1 % P
    c = 2 * z1 * z1 % P
    h = a + b
    e = h - (x1 + y1) * (x1 + y1) % P
    g = a - b
    f = c + g
    return e * f % P, g * h % P, f * g % P, e * h % P


def add_prepared(p: Point, q: Prepared) -> Point:
    x1, y1, z1, t1 = p
    plus, minus, t2 = q
    a = (y1 - x1) * minus % P
    b = (y1 + x1) * plus % P
    c = t1 * t2 % P
    d = 2 * z1
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def negated(p: Point) -> Point:
    x, y, z, t = p
    return -x % P, y, z, -t % P


def multiply(n: int, p: Point) -> Point:
    """[n]p by doubling, for n >= 0 that is not reduced modulo L."""
    out = IDENTITY
    for bit in bin(n)[2:]:
        out = double(out)
        if bit == "1":
            out = add(out, p)
    return out


def is_identity(p: Point) -> bool:
    x, y, z, _ = p
    return x % P == 0 and (y - z) % P == 0


def encode(p: Point) -> bytes:
    x, y, z, _ = p
    inverse = pow(z, -1, P)
    x, y = x * inverse % P, y * inverse % P
    return (y | (x & 1) << 255).to_bytes(32, "little")


def decode(data: bytes) -> Optional[Point]:
    """The point of an encoding that need not be canonical, or None."""
    n = int.from_bytes(data, "little")
    sign, y = n >> 255, (n & (1 << 255) - 1) % P
    u, v = (y * y - 1) % P, (D * y * y + 1) % P
    x = u * pow(v, 3, P) * pow(u * pow(v, 7, P), (P - 5) // 8, P) % P
    if v * x * x % P == -u % P:
        x = x * SQRT_M1 % P
    if v * x * x % P != u:
        return None
    if x & 1 != sign:
        x = -x % P
    return x, y, 1, x * y % P


def prepare(points: List[Point]) -> List[Prepared]:
    """Makes points affine with a single inversion."""
    products = [1]
    for p in points:
        products.append(products[-1] * p[2] % P)
    inverse = pow(products[-1], -1, P)
    out: List[Prepared] = []
    for i in range(len(points) - 1, -1, -1):
        x, y, z, _ = points[i]
        each = inverse * products[i] % P
        inverse = inverse * z % P
        x, y = x * each % P, y * each % P
        out.append(((y + x) % P, (y - x) % P, x * y % P * D2 % P))
    out.reverse()
    return out


class Comb:
    """Multiples j·256^i of a point for every byte j at every place i: a product takes 32 additions."""

    def __init__(self, p: Point) -> None:
        points: List[Point] = []
        for _ in range(32):
            multiple = p
            for _ in range(255):
                points.append(multiple)
                multiple = add(multiple, p)
            p = multiple  # 256 times what it was
        prepared = prepare(points)
        self.rows = [prepared[i : i + 255] for i in range(0, len(prepared), 255)]

    def add_to(self, out: Point, n: int) -> Point:
        """out + [n]p for 0 <= n < 2^256."""
        for row, digit in zip(self.rows, n.to_bytes(32, "little")):
            if digit:
                out = add_prepared(out, row[digit - 1])
        return out


BASE = decode((4 * pow(5, -1, P) % P).to_bytes(32, "little")) or IDENTITY

# A table costs as much as a hundred products, so it is made for keys that sign a lot.
WORTH_A_COMB = 24
_base_comb: List[Comb] = []


class PublicKey:
    """An admitted public key."""

    def __init__(self, data: bytes) -> None:
        if len(data) != 32:
            raise KeyRefused("a public key has 32 bytes")
        point = decode(data)
        if point is None:
            raise KeyRefused("the public key is no point of the curve")
        if encode(point) != data:
            raise KeyRefused("the public key is not canonically encoded")
        if is_identity(multiply(8, point)):
            raise KeyRefused("the public key has small order")
        if not is_identity(multiply(L, point)):
            raise KeyRefused("the public key is outside the prime-order subgroup")
        self.data = data
        self._minus = negated(point)
        self._comb: Optional[Comb] = None
        self._uses = 0

    def verify(self, message: bytes, signature: bytes) -> None:
        """Returns if the signature holds and raises SignatureRefused if it does not."""
        if len(signature) != 64:
            raise SignatureRefused("a signature has 64 bytes")
        r, s = signature[:32], int.from_bytes(signature[32:], "little")
        if r in SMALL_ORDER:
            raise SignatureRefused("the signature's point R has small order")
        k = int.from_bytes(hashlib.sha512(r + self.data + message).digest(), "little") % L
        # Comparing bytes with a canonical encoding refuses every other spelling of R.
        if s >= L or encode(self._difference(s, k)) != r:
            raise SignatureRefused("the signature does not match")

    def _difference(self, s: int, k: int) -> Point:
        """[s]B - [k]A."""
        self._uses += 1
        if self._uses == WORTH_A_COMB:
            self.prepare()
        if self._comb is None:
            return _twice(s, BASE, k, self._minus)
        return self._comb.add_to(_base_comb[0].add_to(IDENTITY, s), k)

    def prepare(self) -> None:
        """Makes the tables that speed up later verifications."""
        if not _base_comb:
            _base_comb.append(Comb(BASE))
        if self._comb is None:
            self._comb = Comb(self._minus)


def _twice(m: int, p: Point, n: int, q: Point) -> Point:
    """[m]p + [n]q with shared doublings."""
    choice: Dict[Tuple[int, int], Point] = {(1, 0): p, (0, 1): q, (1, 1): add(p, q)}
    out = IDENTITY
    for i in range(max(m.bit_length(), n.bit_length()) - 1, -1, -1):
        out = double(out)
        bits = (m >> i & 1, n >> i & 1)
        if bits != (0, 0):
            out = add(out, choice[bits])
    return out


def _small_order() -> "FrozenSet[bytes]":
    """The canonical encodings of the eight points whose order divides the cofactor."""
    # [L]p has an order that divides 8, whatever p is; one that has 8 itself generates them all.
    y = 2
    while True:
        p = decode(y.to_bytes(32, "little"))
        if p is not None:
            torsion = multiply(L, p)
            if not is_identity(multiply(4, torsion)):
                break
        y += 1
    points, q = set(), IDENTITY
    for _ in range(8):
        points.add(encode(q))
        q = add(q, torsion)
    return frozenset(points)


SMALL_ORDER = _small_order()
