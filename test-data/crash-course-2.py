"""Writes crash-course-2.txt beside itself: what examples/crash-course-2.ts prints.

The numbers are those recorded in mxnet/rng-cpu.json (a replay of the tutorial from MXNet's generators, none of them computed by this project); NumPy lays
them out, set as in numpy-print.py.
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
v = json.loads((here / 'mxnet' / 'rng-cpu.json').read_text())['seed_post_part2_replay']['v']


def array(name, *shape):
    values = np.array(v[name], dtype='f4').reshape(shape)
    return f"\n{values}\n<NDArray {'x'.join(map(str, shape))} @cpu(0)>"


print(
    'Dense(None -> 2, linear)',
    array('layer_out_seed_post', 3, 2),
    array('dense2_weight_2x4', 2, 4),
    """Sequential(
  (0): Conv2D(None -> 6, kernel_size=(5, 5), stride=(1, 1))
  (1): MaxPool2D(size=(2, 2), stride=(2, 2), padding=(0, 0), ceil_mode=False)
  (2): Conv2D(None -> 16, kernel_size=(3, 3), stride=(1, 1))
  (3): MaxPool2D(size=(2, 2), stride=(2, 2), padding=(0, 0), ceil_mode=False)
  (4): Dense(None -> 120, Activation(relu))
  (5): Dense(None -> 84, Activation(relu))
  (6): Dense(None -> 10, linear)
)""",
    '[ 4, 10 ]',
    '[ 6, 1, 5, 5 ] [ 84 ]',
    """MixMLP(
  (blk): Sequential(
    (0): Dense(None -> 3, Activation(relu))
    (1): Dense(None -> 4, Activation(relu))
  )
  (dense): Dense(None -> 5, linear)
)""",
    array('mix_print', 2, 4),
    array('mix_out', 2, 5),
    array('mix_w1', 4, 3),
    sep='\n',
    file=(here / 'crash-course-2.txt').open('w'),
)
