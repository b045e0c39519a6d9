"""Writes numpy-print.json beside itself: what NumPy prints for some 300 arrays, the oracle of src/core/print.test.ts.

    python3 test-data/numpy-print.py

The committed file is NumPy 1.24.2's, set to pad exponential form with zeros as releases before 1.21 (those that MXNet 1.x printed
with) do; later ones go on with the number's own digits. NumPy 2.4 takes exponents earlier (float32 from 1e6 on, float16 from 1e3 on).

A case is [dtype, shape, values, text]. Values are a string of numbers parted by blanks, or for large arrays the rule
[a, b, m, c, scale]: element i is ((i * a + b) mod m - c) * scale.
"""

import json
from pathlib import Path

import numpy as np

CODES = {
    'float32': 'f4',
    'float16': 'f2',
    'float64': 'f8',
    'int32': 'i4',
    'uint32': 'u4',
    'int8': 'i1',
    'uint8': 'u1',
    'bool': '?',
}


class ZeroPadded(np.core.arrayprint.FloatingFormat):
    def fillFormat(self, data):
        super().fillFormat(data)
        if self.exp_format:
            self.min_digits = 0

    def __call__(self, x):
        mantissa, e, exponent = super().__call__(x).partition('e')
        if not e:
            return mantissa
        whole, point, fraction = mantissa.partition('.')
        return whole + point + fraction.ljust(self.precision, '0') + e + exponent


np.core.arrayprint.FloatingFormat = ZeroPadded

FLOATS = ('float32', 'float16', 'float64')
nan, inf = np.nan, np.inf
cases = []
np.seterr(all='ignore')


def add(dtype, values, shape=None):
    array = np.asarray(values, dtype='f8').astype(CODES[dtype])
    if shape is not None:
        array = array.reshape(shape)
    flat = array.ravel()
    # the shortest digits of the element's own dtype: they give it back when read as a double and rounded
    words = [str(v) for v in flat] if dtype in FLOATS else [str(int(v)) for v in flat]
    again = np.array([float(w) for w in words]).astype(array.dtype)
    assert again.tobytes() == flat.tobytes() or dtype in FLOATS and np.array_equal(again, flat, equal_nan=True)
    cases.append([dtype, list(array.shape), ' '.join(words), str(array)])


def add_rule(dtype, shape, rule):
    a, b, m, c, scale = rule
    values = [((i * a + b) % m - c) * scale for i in range(int(np.prod(shape)))]
    array = np.array(values, dtype='f8').astype(CODES[dtype]).reshape(shape)
    cases.append([dtype, list(shape), list(rule), str(array)])


def by_hand():
    for dtype in FLOATS:
        for values in (
            [0.0], [-0.0], [1.0], [-1.0], [0.5], [0.1], [1 / 3], [100.0], [nan], [inf], [-inf], [nan, -inf, inf],
            [0.0, -0.0], [1.0, nan], [-1.5, inf], [100.25, nan, -inf], [0.0, nan], [1e-4, 1.0], [9.99e-5], [1e-4],
            [1.0, 1000.0], [1.0, 1001.0], [1.0, 1000.5], [-1.0, 2.5, 1000.0], [1.5, 1e-5, nan], [1e-5, -inf],
            [2.0**-9], [2.0**-9, 3 * 2.0**-9, 5 * 2.0**-9], [0.015625, 2e-5], [256.25, 256.75], [2049.0, 4100.0],
            [65504.0], [65504.0, 1.0], [6e-8, 1.0], [1.00390625, 0.99609375], [1e-4, 1e-3, 1e-2, 0.1],
        ):  # fmt: skip
            add(dtype, values)
        for value in (0.0, -0.0, 1.0, 0.1, -2.5, 1 / 3, nan, -inf, 1e-4, 9.99e-5, 1e-5, 12345.678, 65504.0, 6e-8):
            add(dtype, value, ())
    for dtype in ('float32', 'float64'):
        for values in (
            [99999999.0], [1e8], [1e8, 1.0], [99999992.0, 67108872.0], [-88803296.0, 40202200.0], [16777217.0, 16777216.0],
            [12345678.12345678, 33554431.12345678], [123456.789, 0.001], [1e10, 0.1, 1 / 3], [10.5639715, 0.1, 1e9],
            [1e30, 1e-30, -1.0], [3.4028235e38, 1.1754944e-38, 1e-45], [0.0, 1e20, -0.0], [9.9999997e-06, 10.0, 1e-5],
            [2.0**-14, 2.0**30], [2.0**-20, 2.0**10], [1234567.8, 7654321.0], [0.99999999, 0.999999999], [99.999999999],
            [1.000000005, 2.000000015], [2097152.25, 2097152.75],
        ):  # fmt: skip
            add(dtype, values)
        for value in (1e8, 16777216.0, 1e15, 9.999999e15, 1e16, 1.5e17, 1e-45, 123456789.0, 2.0**-24, 2.0**-44):
            add(dtype, value, ())
    add('float64', [1e300, 1e-300, 1.0])
    add('float64', [5e-324, 1.7976931348623157e308])
    add('float64', [9.34994830500000e16, 1e-5, 1.2345678949999999e10])
    add('float64', [9.9999999999, 1e9])
    add('float64', 2.0**50 + 0.25, ())
    add('float64', 2.0**50 + 0.75, ())
    for shape in ((0,), (0, 3), (3, 0), (2, 0, 4)):
        add('float32', [], shape)
    add('int32', [], (0,))
    add('bool', [], (0, 2))


def integers_and_booleans(random):
    for dtype, low, high in (
        ('int32', -(2**31), 2**31 - 1), ('uint32', 0, 2**32 - 1), ('int8', -128, 127), ('uint8', 0, 255),
    ):  # fmt: skip
        add(dtype, [low, high, 0, 1])
        add(dtype, [7], (1, 1))
        add(dtype, 42, ())
        add(dtype, random.randint(0, 100, 60))
        add(dtype, random.randint(max(low, -99), 99, (2, 3, 4)))
        add(dtype, random.randint(low, high, (3, 17)))
    add('bool', 1, ())
    add('bool', 0, ())
    add('bool', [1, 0, 1])
    add('bool', [1, 1])
    add('bool', random.randint(0, 2, 40))
    add('bool', random.randint(0, 2, (2, 2, 3)))


def shapes(random):
    for shape in (
        (1,), (7,), (20,), (100,), (1, 1), (3, 4), (4, 3), (2, 30), (30, 2), (2, 3, 4), (3, 1, 5), (1, 1, 1, 1), (2, 2, 2, 2),
        (2, 1, 2, 1, 3), (1, 2, 1, 2, 1, 2), (1, 1, 1, 1, 1, 1, 1, 9), (2, 2, 12), (1, 1, 1, 20),
    ):  # fmt: skip
        add('float32', random.uniform(-1, 1, shape), shape)
        add('float64', np.round(random.uniform(-50, 50, shape), 3), shape)
    # one more and one less than fills a line
    for width in range(1, 10):
        add('int32', np.full(75 // (width + 1) + 3, 10 ** (width - 1)))
        add('int32', np.full((1, 2, 75 // (width + 1) + 3), 10 ** (width - 1)))
    for dtype in FLOATS:
        for scale in (1e-6, 1e-3, 1.0, 1e3, 1e6, 1e12):
            add(dtype, random.randn(9) * scale, (3, 3))
            add(dtype, random.randn(6) * random.choice([0.001, 0.03, 1.0, 20.0, 700.0], 6) * scale, (2, 3))
        add(dtype, np.ldexp(1.0, random.randint(-20, 16, 14)), (2, 7))
        add(dtype, random.choice([nan, inf, -inf, 1.5, -22.25, 0.0], 24), (4, 6))
        add(dtype, random.choice([nan, inf, 1e-5, -22.25, 0.0], 24), (4, 6))


def summaries():
    rule = (7919, 13, 10007, 5000, 0.001)
    for shape in (
        (1000,), (1001,), (5, 200), (7, 150), (40, 30), (2, 3, 200), (11, 11, 11), (4, 300), (1200, 1), (1, 1200), (1500, 2),
        (3, 8, 7, 7), (6, 6, 6, 6), (7, 6, 6, 6), (2, 7, 2, 7, 7), (256, 1, 28, 28), (64, 1000), (100000,), (1, 1, 2000), (8, 130),
    ):  # fmt: skip
        if shape not in ((1000,), (5, 200)):
            add_rule('float32', shape, rule)
        add_rule('int32', shape, (31, 7, 1009, 500, 1))
    for dtype in FLOATS:
        add_rule(dtype, (50, 50), (7919, 13, 10007, 5000, 1 / 3))
        add_rule(dtype, (50, 50), (7919, 13, 10007, 5000, 1e-9))
        # a number that is not shown must not widen those that are
        add_rule(dtype, (2000,), (1, 0, 2000, 0, 1))
    add_rule('bool', (40, 40), (1, 0, 2, 0, 1))
    add_rule('uint8', (28, 28, 3), (37, 5, 256, 0, 1))
    add_rule('int8', (1100,), (37, 5, 256, 128, 1))
    add_rule('uint32', (3, 500), (1048583, 1, 4294967291, 0, 1))


def main():
    random = np.random.RandomState(2024)
    by_hand()
    integers_and_booleans(random)
    shapes(random)
    summaries()
    lines = ',\n'.join(json.dumps(case, separators=(',', ':')) for case in cases)
    head = json.dumps({'numpy': np.__version__})[:-1]
    target = Path(__file__).with_suffix('.json')
    target.write_text(f'{head}, "cases": [\n{lines}\n]}}\n')
    print(f'{len(cases)} cases, {target.stat().st_size} bytes')


main()
