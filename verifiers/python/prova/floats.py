"""Arithmetic on doubles, each operation rounded once and in one order, so that every machine gets the same bits."""

from __future__ import annotations

from math import frexp, inf, isnan, ldexp, nan, sqrt
from typing import Sequence

MOST = 1.7976931348623157e308  # the largest double
_LN2_HEAD = float.fromhex("0x1.62e42feep-1")
_LN2_TAIL = float.fromhex("0x1.a39ef35793c76p-33")
_INVERSE_FACTORIALS = [1 / f for f in (6227020800, 479001600, 39916800, 3628800, 362880, 40320, 5040, 720, 120, 24, 6, 2)]


def quotient(a: float, b: float) -> float:
    """a/b as IEEE 754 has it, where Python raises an error at 0."""
    if b != 0:
        return a / b
    return nan if a == 0 or isnan(a) else inf if a > 0 else -inf


def exp(x: float) -> float:
    if isnan(x):
        return x
    if x > 709.782712893384:
        return inf
    if x < -745.1332191019412:
        return 0.0
    k = int(x * 1.4426950408889634 + (-0.5 if x < 0 else 0.5))
    head, tail = x - k * _LN2_HEAD, k * _LN2_TAIL
    r = head - tail
    rest = (head - r) - tail
    total = 0.0
    for inverse in _INVERSE_FACTORIALS:
        total = total * r + inverse
    return ldexp(1 + (r + (r * r * total + (rest + rest * r))), k)


def log(x: float) -> float:
    if isnan(x) or x > MOST:
        return x
    if x <= 0:
        return -inf if x == 0 else nan
    m, k = frexp(x)
    m, k = 2 * m, k - 1
    if m > 1.4142135623730951:
        m, k = m / 2, k + 1
    f = m - 1
    s = f / (2 + f)
    z, total = s * s, 0.0
    for i in range(12, 0, -1):
        total = (total + 2 / (2 * i + 1)) * z
    half = 0.5 * f * f
    correction = s * (half + total) + k * _LN2_TAIL
    return k * _LN2_HEAD - ((half - correction) - f)


def _polynomial(coefficients: Sequence[float], x: float) -> float:
    total = 0.0
    for c in reversed(coefficients):
        total = total * x + c
    return total


_CENTRE = (
    (3.3871328727963666080e0, 1.3314166789178437745e2, 1.9715909503065514427e3, 1.3731693765509461125e4,
     4.5921953931549871457e4, 6.7265770927008700853e4, 3.3430575583588128105e4, 2.5090809287301226727e3),
    (1.0, 4.2313330701600911252e1, 6.8718700749205790830e2, 5.3941960214247511077e3,
     2.1213794301586595867e4, 3.9307895800092710610e4, 2.8729085735721942674e4, 5.2264952788528545610e3),
)  # fmt: skip
_TAIL = (
    (1.42343711074968357734e0, 4.63033784615654529590e0, 5.76949722146069140550e0, 3.64784832476320460504e0,
     1.27045825245236838258e0, 2.41780725177450611770e-1, 2.27238449892691845833e-2, 7.74545014278341407640e-4),
    (1.0, 2.05319162663775882187e0, 1.67638483018380384940e0, 6.89767334985100004550e-1,
     1.48103976427480074590e-1, 1.51986665636164571966e-2, 5.47593808499534494600e-4, 1.05075007164441684324e-9),
)  # fmt: skip
_FAR_TAIL = (
    (6.65790464350110377720e0, 5.46378491116411436990e0, 1.78482653991729133580e0, 2.96560571828504891230e-1,
     2.65321895265761230930e-2, 1.24266094738807843860e-3, 2.71155556874348757815e-5, 2.01033439929228813265e-7),
    (1.0, 5.99832206555887937690e-1, 1.36929880922735805310e-1, 1.48753612908506148525e-2,
     7.86869131745613259100e-4, 1.84631831751005468180e-5, 1.42151175831644588870e-7, 2.04426310338993978564e-15),
)  # fmt: skip


def normal_quantile(p: float) -> float:
    """The p-quantile of the standard normal law: algorithm AS 241 of Wichura 1988."""
    if not 0 <= p <= 1:
        return nan
    if p in (0, 1):
        return inf if p else -inf
    q = p - 0.5
    if -0.425 <= q <= 0.425:
        r = 0.180625 - q * q
        return q * (_polynomial(_CENTRE[0], r) / _polynomial(_CENTRE[1], r))
    r = sqrt(-log(1 - p if q > 0 else p))
    fraction, r = (_TAIL, r - 1.6) if r <= 5 else (_FAR_TAIL, r - 5)
    x = _polynomial(fraction[0], r) / _polynomial(fraction[1], r)
    return -x if q < 0 else x


def critical(confidence: float) -> float:
    """The two-sided critical value of a confidence level."""
    return -normal_quantile((1 - confidence) / 2)
