"""Numbers of a floating-point type: each operation rounds its result to the type, to nearest, ties to even.

The types are f64, f32, f16 and bf16. The type `exact` computes with 60 decimal digits; verify.py uses it.
Only the standard library is needed. Layers are written once and run in each type.
"""

import decimal
import math
import struct
from decimal import Decimal

SINGLE = struct.Struct("<f")
HALF = struct.Struct("<e")
DOUBLE = struct.Struct("<d")
BITS = struct.Struct("<q")

decimal.setcontext(
    decimal.Context(
        prec=60,
        rounding=decimal.ROUND_HALF_EVEN,
        Emin=-999999999,
        Emax=999999999,
        traps=[decimal.InvalidOperation, decimal.DivisionByZero],
    )
)


def _round_to(layout):
    pack, unpack = layout.pack, layout.unpack

    def round_value(value):
        try:
            return unpack(pack(value))[0]
        except OverflowError:
            return math.copysign(math.inf, value)

    return round_value


def _round_to_bf16(value):
    """A bf16 has the exponent of an f32 and 8 significant bits, so 45 of the 52 stored bits of a double go."""
    if not math.isfinite(value):
        return value
    if abs(value) < 2.0**-126:
        return math.copysign(round(value * 2.0**133) * 2.0**-133, value)
    bits = BITS.unpack(DOUBLE.pack(value))[0]
    bits += (1 << 44) - 1 + (bits >> 45 & 1)
    rounded = DOUBLE.unpack(BITS.pack(bits >> 45 << 45))[0]
    return rounded if abs(rounded) < 2.0**128 else math.copysign(math.inf, value)


class Binary:
    """Functions of doubles as IEEE 754 defines them: an overflow is an infinity, and 0/0 is not a number."""

    erf, tanh, atan = math.erf, math.tanh, math.atan

    @staticmethod
    def divide(a, b):
        if b != 0:
            return a / b
        if a == 0 or a != a or b != b:
            return math.nan
        return math.copysign(math.inf, a) * math.copysign(1.0, b)

    @staticmethod
    def exp(x):
        try:
            return math.exp(x)
        except OverflowError:
            return math.inf

    @staticmethod
    def expm1(x):
        try:
            return math.expm1(x)
        except OverflowError:
            return math.inf

    @staticmethod
    def log(x):
        if x > 0:
            return math.log(x)
        return -math.inf if x == 0 else math.nan

    @staticmethod
    def log1p(x):
        if x > -1:
            return math.log1p(x)
        return -math.inf if x == -1 else math.nan

    @staticmethod
    def sqrt(x):
        return math.sqrt(x) if x >= 0 else math.nan

    @staticmethod
    def sin(x):
        return math.sin(x) if math.isfinite(x) else math.nan

    @staticmethod
    def cos(x):
        return math.cos(x) if math.isfinite(x) else math.nan

    @staticmethod
    def power(x, exponent):
        try:
            return math.pow(x, exponent)
        except OverflowError:
            return math.inf
        except ValueError:
            return math.nan


class Digits:
    """The same functions of decimal numbers, to about 60 digits."""

    exp, log, sqrt = staticmethod(Decimal.exp), staticmethod(Decimal.ln), staticmethod(Decimal.sqrt)

    @staticmethod
    def divide(a, b):
        return a / b

    @staticmethod
    def expm1(x):
        return x.exp() - 1

    @staticmethod
    def log1p(x):
        return (1 + x).ln()

    @staticmethod
    def tanh(x):
        power = (-2 * abs(x)).exp()
        return ((1 - power) / (1 + power)).copy_sign(x)

    @staticmethod
    def _series(first, ratio):
        """Sums a series from its first term and the ratio of term k to term k − 1."""
        with decimal.localcontext() as context:
            context.prec = 120
            term = total = +first
            k = 0
            while term != 0 and abs(term) > Decimal(10) ** -100:
                k += 1
                term *= ratio(k)
                total += term
        return +total

    @staticmethod
    def sin(x):
        return Digits._series(x, lambda k: -x * x / (2 * k * (2 * k + 1)))

    @staticmethod
    def cos(x):
        return Digits._series(Decimal(1), lambda k: -x * x / (2 * k * (2 * k - 1)))

    @staticmethod
    def erf(x):
        # erf x = 2/√π · e^(−x²) · Σ 2^k x^(2k+1) / (1·3·…·(2k+1)); all terms have the same sign.
        total = Digits._series(x, lambda k: 2 * x * x / (2 * k + 1))
        return 2 / Digits.PI.sqrt() * (-x * x).exp() * total

    @staticmethod
    def atan(x):
        if abs(x) > Decimal("0.2"):
            return 2 * Digits.atan(x / (1 + (1 + x * x).sqrt()))
        return Digits._series(x, lambda k: -x * x * (2 * k - 1) / (2 * k + 1))

    @staticmethod
    def power(x, exponent):
        return x**exponent

    PI = Decimal("3.14159265358979323846264338327950288419716939937510582097494459")


class Number:
    """A number of a type. A Python number that it meets is rounded to the type first."""

    __slots__ = ("value",)
    functions = Binary

    def __init__(self, value):
        self.value = self.round(value)

    def operand(self, other):
        return other.value if isinstance(other, Number) else self.round(other)

    def __add__(self, other):
        return type(self)(self.value + (other.value if isinstance(other, Number) else self.round(other)))

    __radd__ = __add__

    def __sub__(self, other):
        return type(self)(self.value - (other.value if isinstance(other, Number) else self.round(other)))

    def __rsub__(self, other):
        return type(self)((other.value if isinstance(other, Number) else self.round(other)) - self.value)

    def __mul__(self, other):
        return type(self)(self.value * (other.value if isinstance(other, Number) else self.round(other)))

    __rmul__ = __mul__

    def __truediv__(self, other):
        return type(self)(self.functions.divide(self.value, (other.value if isinstance(other, Number) else self.round(other))))

    def __rtruediv__(self, other):
        return type(self)(self.functions.divide((other.value if isinstance(other, Number) else self.round(other)), self.value))

    def __neg__(self):
        return type(self)(-self.value)

    def __abs__(self):
        return type(self)(abs(self.value))

    def __lt__(self, other):
        return self.value < self.operand(other)

    def __le__(self, other):
        return self.value <= self.operand(other)

    def __gt__(self, other):
        return self.value > self.operand(other)

    def __ge__(self, other):
        return self.value >= self.operand(other)

    def __eq__(self, other):
        return self.value == self.operand(other)

    __hash__ = None

    def __float__(self):
        return float(self.value)

    def __repr__(self):
        return f"{type(self).__name__}({self.value})"


class F64(Number):
    __slots__ = ()
    round = staticmethod(float)
    unit_roundoff = 2.0**-53


class F32(Number):
    __slots__ = ()
    round = staticmethod(_round_to(SINGLE))
    unit_roundoff = 2.0**-24


class F16(Number):
    __slots__ = ()
    round = staticmethod(_round_to(HALF))
    unit_roundoff = 2.0**-11


class BF16(Number):
    __slots__ = ()
    round = staticmethod(_round_to_bf16)
    unit_roundoff = 2.0**-8


class Exact(Number):
    __slots__ = ()
    functions = Digits
    unit_roundoff = 1e-60

    @staticmethod
    def round(value):
        return +Decimal(value)


TYPES = {"f64": F64, "f32": F32, "f16": F16, "bf16": BF16, "exact": Exact}


class Arithmetic:
    """The type that the layers compute in, and the type that their sums are carried in."""

    type = F64
    accumulator = None


def use(name, accumulator=None):
    """Computes in a type from now on; sums are carried in the accumulator's type if there is one."""
    Arithmetic.type = TYPES[name]
    Arithmetic.accumulator = TYPES[accumulator] if accumulator else None


def number(value):
    """Returns a number of the type, rounded."""
    return Arithmetic.type(value)


def total(numbers):
    """Returns the sum of the numbers, in a plain loop."""
    carry = Arithmetic.accumulator or Arithmetic.type
    result = carry(0).value
    for entry in numbers:
        result = carry.round(result + entry.value)
    return number(result)


def dot(a, b):
    """Returns Σ aᵢ·bᵢ, in a plain loop; an accumulator also takes the products."""
    carry = Arithmetic.accumulator or Arithmetic.type
    result = carry(0).value
    for x, y in zip(a, b):
        result = carry.round(result + carry.round(x.value * y.value))
    return number(result)


def _function(name):
    def apply(x):
        return type(x)(getattr(x.functions, name)(x.value))

    apply.__doc__ = f"Returns {name} of a number, rounded."
    return apply


exp, expm1, log, log1p = _function("exp"), _function("expm1"), _function("log"), _function("log1p")
sqrt, tanh, erf, sin, cos, atan = (_function(name) for name in ("sqrt", "tanh", "erf", "sin", "cos", "atan"))


def power(x, exponent):
    """Returns x to an exponent that is a Python number."""
    return type(x)(x.functions.power(x.value, x.round(exponent)))


def sigmoid(x):
    """Returns 1/(1 + e^(−x)), as textbooks have it."""
    return 1 / (1 + exp(-x))


def sign(x):
    """Returns 1, 0 or −1."""
    return number((x > 0) - (x < 0))
