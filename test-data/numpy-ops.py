"""Writes numpy-ops.json beside itself: what NumPy says of elementary functions, indexing and sorting, the oracle of test/ops.

    python3 test-data/numpy-ops.py

The committed file is NumPy 1.24.2's. Functions are computed in float64 at float32 places. NaN, Infinity, -Infinity and -0 stand as strings.
"""

import json
import math
from pathlib import Path

import numpy as np

rng = np.random.default_rng(7)


def number(v):
    v = float(v)
    if math.isnan(v):
        return 'NaN'
    if math.isinf(v):
        return 'Infinity' if v > 0 else '-Infinity'
    if v == 0 and math.copysign(1, v) < 0:
        return '-0'
    return int(v) if v == int(v) and abs(v) < 2**53 else v


def flat(a):
    return [number(v) for v in np.asarray(a).ravel()]


# --- functions of one number ---

erf = np.vectorize(math.erf, otypes=[float])
erfc = np.vectorize(math.erfc, otypes=[float])


def erfinv_one(y):
    """Newton on erf, from the root of a rational approximation's bracket."""
    if math.isnan(y) or abs(y) > 1:
        return math.nan
    if abs(y) == 1:
        return math.copysign(math.inf, y)
    if y == 0:
        return y
    low, high = 0.0, 6.0
    for _ in range(200):
        middle = (low + high) / 2
        # erfc keeps the digits where erf is almost 1
        if math.erfc(middle) > 1 - abs(y):
            low = middle
        else:
            high = middle
    return math.copysign((low + high) / 2, y)


erfinv = np.vectorize(erfinv_one, otypes=[float])
sigmoid = lambda x: np.where(x >= 0, 1 / (1 + np.exp(-np.abs(x))), np.exp(-np.abs(x)) / (1 + np.exp(-np.abs(x))))
softplus = lambda x: np.logaddexp(0, x)
round_away = lambda x: np.copysign(np.floor(np.abs(x) + 0.5), x)

FUNCTIONS = {
    'neg': np.negative,
    'abs': np.abs,
    'sign': np.sign,
    'round': round_away,
    'rint': np.rint,
    'ceil': np.ceil,
    'floor': np.floor,
    'trunc': np.trunc,
    'fix': np.trunc,
    'square': np.square,
    'sqrt': np.sqrt,
    'rsqrt': lambda x: 1 / np.sqrt(x),
    'cbrt': np.cbrt,
    'rcbrt': lambda x: 1 / np.cbrt(x),
    'reciprocal': lambda x: 1 / x,
    'exp': np.exp,
    'expm1': np.expm1,
    'log': np.log,
    'log2': np.log2,
    'log10': np.log10,
    'log1p': np.log1p,
    'sin': np.sin,
    'cos': np.cos,
    'tan': np.tan,
    'arcsin': np.arcsin,
    'arccos': np.arccos,
    'arctan': np.arctan,
    'sinh': np.sinh,
    'cosh': np.cosh,
    'tanh': np.tanh,
    'arcsinh': np.arcsinh,
    'arccosh': np.arccosh,
    'arctanh': np.arctanh,
    'degrees': np.degrees,
    'radians': np.radians,
    'erf': erf,
    'erfinv': erfinv,
    'logicalNot': lambda x: x == 0,
    'isnan': np.isnan,
    'isinf': np.isinf,
    'isfinite': np.isfinite,
    'relu': lambda x: np.maximum(x, 0),
    'sigmoid': sigmoid,
    'softrelu': softplus,
    'softsign': lambda x: x / (1 + np.abs(x)),
    'logSigmoid': lambda x: -softplus(-x),
    'mish': lambda x: x * np.tanh(softplus(x)),
    # erfc keeps the digits where 1 + erf has none
    'gelu': lambda x: x / 2 * erfc(-x / math.sqrt(2)),
    'selu': lambda x: 1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * np.expm1(np.minimum(x, 0))),
    'silu': lambda x: x * sigmoid(x),
}

HALVES = np.arange(-4, 4.5, 0.5)
SPREAD = np.linspace(-9, 9, 37) + 0.0123
TINY = np.array([1e-7, 3e-6, 1e-5, 1e-4, 3e-3, 0.02, 0.1])
# near 1, where inverse functions are steep; large; halves
PLACES = np.concatenate([HALVES, SPREAD, TINY, -TINY, [0.9, 0.99, -0.97, 0.999, 1.001, 1.5, 20.5, -20.5, 80, -80, 1234.5, -1234.5, 1e6, -1e6, 1e20, -1e20]])
SPECIAL = np.array([0.0, -0.0, 1.0, -1.0, math.inf, -math.inf, math.nan])

# --- indexing ---

# indices as webgluon takes them: numbers, ranges as text, '...', null, arrays of indices
INDICES = {
    (5,): [[2], [-1], ['1:3'], ['::2'], ['::-1'], ['4:1:-2'], [':'], ['-3:'], ['3:1'], [[0, 0, 4]], [[-1, 2]], [None], [None, 1], ['...'], [[[0, 1], [2, 3]]], [':', None], ['10:'], ['-10:2']],
    (3, 4): [[1], [1, 2], [-1, -1], [':', '1:3'], ['1:', 2], ['...', 0], [0, '...'], [None, ':', None, 1], ['::-1', '::-2'], [[0, 2]], [':', [3, 0, 3]], [[0, 2], [1, 3]], [[[0], [2]], [1, 3]], [[0, 1, 2], 1], ['1:2', [0, 1]], [2, [0, 1]], ['0:0'], ['...', None], [[[0, 2]], ':']],
    (2, 3, 4): [[1], [0, 2, 3], [':', 1], ['...', 1], [1, '...', '::2'], [':', '1:', '::-1'], [[1, 0]], [':', [2, 0]], [':', ':', [3, 3, 0]], [[0, 1], [2, 0]], [':', [0, 2], [1, 3]], [[0, 1], ':', [1, 3]], [0, ':', [1, 2]], [[1], [0, 2], [3, 0]], ['1:', [0, 1], '1:3'], [None, 1, None, '1:'], [[[0, 1], [1, 0]], 2], [':', [[0], [2]], [[1, 3]]], ['...', [0, 1], ':']],
    (2, 3, 2, 3): [[':', [0, 2], ':', [1, 0]], [1, [0, 1], ':', 2], ['...', [0, 1], '::-1'], [':', 1, 0], ['::-1', '...', '1:'], [':', [0, 1], [1, 0], ':'], [[0, 1], ':', ':', [2, 1]]],
}


def numpy_index(index):
    out = []
    for item in index:
        if item is None:
            out.append(np.newaxis)
        elif item == '...':
            out.append(Ellipsis)
        elif isinstance(item, str):
            parts = [int(p) if p else None for p in item.split(':')]
            out.append(slice(*parts))
        elif isinstance(item, list):
            out.append(np.array(item))
        else:
            out.append(item)
    return tuple(out)


def indexing():
    cases = []
    for shape, indices in INDICES.items():
        a = np.arange(np.prod(shape)).reshape(shape)
        for index in indices:
            key = numpy_index(index)
            got = a[key]
            written = a.copy()
            # distinct values, so that it shows which went where; repeated places keep the last
            value = 100 + np.arange(got.size).reshape(got.shape)
            written[key] = value
            filled = a.copy()
            filled[key] = -7
            cases.append({
                'shape': shape,
                'index': index,
                'at': [list(got.shape), flat(got)],
                'set': flat(written),
                'fill': flat(filled),
            })
    return cases


# --- sorting, along each axis, with NaN, infinities and ties ---

def sorting():
    a = np.round(rng.normal(size=(3, 5, 4)) * 2) / 2
    a[0, 1, 2] = math.nan
    a[2, 4, 3] = math.inf
    a[1, 0, 0] = -math.inf
    cases = []
    for axis in (0, 1, 2, None):
        # stable in both directions: descending sorts the negated, NaN first
        rising = np.argsort(a, axis=axis, kind='stable')
        key = np.where(np.isnan(a), -math.inf, -a)
        # NaN before +inf, whose key is -inf as well
        first = np.where(np.isnan(a), 0, 1)
        if axis is None:
            falling = np.lexsort((np.arange(a.size), key.ravel(), first.ravel()))
        else:
            places = np.broadcast_to(np.arange(a.shape[axis]).reshape([-1 if i == axis else 1 for i in range(3)]), a.shape)
            falling = np.lexsort((places, key, first), axis=axis)
        cases.append({'axis': axis, 'rising': flat(rising), 'falling': flat(falling)})
    return {'shape': list(a.shape), 'values': flat(a.astype(np.float32)), 'cases': cases}


def main():
    with np.errstate(all='ignore'):
        places = PLACES.astype(np.float32)
        special = SPECIAL.astype(np.float32)
        functions = {
            name: {'y': flat(f(places.astype(np.float64))), 'special': flat(f(special.astype(np.float64)))}
            for name, f in FUNCTIONS.items()
        }
    data = {
        'places': flat(places),
        'special': flat(special),
        'functions': functions,
        'indexing': indexing(),
        'sorting': sorting(),
    }
    Path(__file__).with_suffix('.json').write_text(json.dumps(data, separators=(',', ':')) + '\n')


main()
