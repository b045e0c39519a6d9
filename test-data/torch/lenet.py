# Twelve steps of training the crash course's LeNet in PyTorch, float64. Weights, images and labels come from a generator that the test has too, so that only
# losses need to be shipped. Writes lenet.json beside this file.
# Run with a Python that has PyTorch (Debian: python3-torch): python3 lenet.py
import json
import os
import struct

import torch
import torch.nn as nn
import torch.nn.functional as F

BATCH, STEPS = 16, 12
SHAPES = [(6, 1, 5, 5), (6,), (16, 6, 3, 3), (16,), (120, 400), (120,), (84, 120), (84,), (10, 84), (10,)]


def numbers(count, low, high, seed):
    """A linear congruential generator (Numerical Recipes), rounded to float32: `numbers` of test/values.ts."""
    state, out = seed, []
    for _ in range(count):
        state = (state * 1664525 + 1013904223) % 2**32
        out.append(struct.unpack('f', struct.pack('f', low + (high - low) * state / 2**32))[0])
    return out


def tensor(shape, low, high, seed):
    count = 1
    for d in shape:
        count *= d
    return torch.tensor(numbers(count, low, high, seed), dtype=torch.float64).reshape(shape)


def make_net():
    net = nn.Sequential(
        nn.Conv2d(1, 6, 5), nn.ReLU(), nn.MaxPool2d(2, 2), nn.Conv2d(6, 16, 3), nn.ReLU(), nn.MaxPool2d(2, 2),
        nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10),
    ).double()
    for i, (parameter, shape) in enumerate(zip(net.parameters(), SHAPES)):
        assert tuple(parameter.shape) == shape
        fan_in = parameter[0].numel() if parameter.dim() > 1 else 1
        bound = (3 / fan_in) ** 0.5 if parameter.dim() > 1 else 0.05
        # the test computes the bound in double precision as well
        parameter.data = tensor(shape, -bound, bound, 100 + i)
    return net


O = torch.optim
RUNS = {
    'sgd': ({'learningRate': 0.1, 'wd': 0.01}, lambda p: O.SGD(p, lr=0.1, weight_decay=0.01)),
    'momentum': ({'learningRate': 0.05, 'momentum': 0.9, 'wd': 0.01}, lambda p: O.SGD(p, lr=0.05, momentum=0.9, weight_decay=0.01)),
    'adam': ({'learningRate': 0.002}, lambda p: O.Adam(p, lr=0.002)),
}
runs = []
for name, (options, make) in RUNS.items():
    net = make_net()
    optimizer = make(net.parameters())
    losses = []
    for step in range(STEPS):
        x = tensor((BATCH, 1, 28, 28), 0, 1, 1000 + step % 2)
        y = torch.tensor([min(9, int(v * 10)) for v in numbers(BATCH, 0, 1, 2000 + step % 2)])
        loss = F.cross_entropy(net(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    runs.append({'name': name, 'optimizer': 'adam' if name == 'adam' else 'sgd', 'options': options, 'losses': losses,
                 'norms': [p.detach().norm().item() for p in net.parameters()]})
    print(name, [round(v, 4) for v in losses])

with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), 'lenet.json'), 'w') as out:
    json.dump({'torch': torch.__version__, 'batch': BATCH, 'shapes': SHAPES, 'runs': runs}, out)
    out.write('\n')
