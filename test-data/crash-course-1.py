"""Writes crash-course-1.txt beside itself: what examples/crash-course-1.ts prints.

The random numbers are those recorded in mxnet/rng-cpu.json from MXNet's tutorial; NumPy computes with them in float32 (the exponential in float64, rounded
once) and lays them out, set as in numpy-print.py.
"""

import json
from pathlib import Path

import numpy as np


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
here = Path(__file__).parent
recorded = json.loads((here / 'mxnet' / 'rng-cpu.json').read_text())['uniform_-1_1_2x3_seed0']['v']


def printed(values):
    values = np.asarray(values, dtype='f4')
    return f"\n{values}\n<NDArray {'x'.join(map(str, values.shape))} @cpu(0)>"


y = np.array(recorded, dtype='f4').reshape(2, 3)
x = np.full((2, 3), 2, dtype='f4')
first = y.copy()
first[:, 1:3] = 2
second = first.copy()
second[1:2, 0:2] = 4
print(
    printed([[1, 2, 3], [5, 6, 7]]),
    printed(np.ones((2, 3))),
    printed(y),
    printed(x),
    '[ 2, 3 ] 6 float32',
    printed(x * y),
    printed(np.exp(y.astype('f8'))),
    printed(x @ y.T),
    printed(y[1, 2:3]),
    printed(y[:, 1:3]),
    printed(first),
    printed(second),
    'Float32Array(6) [ 2, 2, 2, 2, 2, 2 ]',
    '[ [ 2, 2, 2 ], [ 2, 2, 2 ] ]',
    printed(x),
    sep='\n',
    file=(here / 'crash-course-1.txt').open('w'),
)
