# Steps of PyTorch's optimizers in float64, for those that mean the same as Gluon's. Writes optimizers.json beside this file.
# Run with a Python that has PyTorch (Debian: python3-torch): python3 optimizers.py
import json
import os

import torch

STEPS = 8
torch.manual_seed(3)
weight = torch.rand(6, dtype=torch.float32) * 2 - 1
grads = [torch.rand(6, dtype=torch.float32) * 2 - 1 for _ in range(STEPS)]

O = torch.optim
# name, our options, PyTorch's optimizer. Not NAdam: up to 1.13 it multiplies the momentum's product twice.
CASES = [
    ('sgd', {'learningRate': 0.1}, lambda p: O.SGD(p, lr=0.1)),
    ('sgd', {'learningRate': 0.1, 'wd': 0.05}, lambda p: O.SGD(p, lr=0.1, weight_decay=0.05)),
    # with a rate that stays, the rate inside the momentum makes no difference
    ('sgd', {'learningRate': 0.1, 'momentum': 0.9, 'wd': 0.05}, lambda p: O.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.05)),
    ('nag', {'learningRate': 0.1, 'momentum': 0.9, 'wd': 0.05}, lambda p: O.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.05, nesterov=True)),
    ('adam', {'learningRate': 0.01}, lambda p: O.Adam(p, lr=0.01)),
    ('adam', {'learningRate': 0.01, 'beta1': 0.8, 'beta2': 0.99, 'wd': 0.05}, lambda p: O.Adam(p, lr=0.01, betas=(0.8, 0.99), weight_decay=0.05)),
    ('adamw', {'learningRate': 0.01, 'epsilon': 1e-8}, lambda p: O.AdamW(p, lr=0.01, weight_decay=0)),
    ('adamax', {'wd': 0.05}, lambda p: O.Adamax(p, lr=0.002, weight_decay=0.05, eps=0)),
    ('adagrad', {'learningRate': 0.1, 'eps': 1e-20}, lambda p: O.Adagrad(p, lr=0.1, eps=1e-10)),
    ('rmsprop', {'learningRate': 0.01, 'epsilon': 1e-16, 'wd': 0.05}, lambda p: O.RMSprop(p, lr=0.01, alpha=0.9, eps=1e-8, weight_decay=0.05)),
    ('rmsprop', {'learningRate': 0.01, 'epsilon': 1e-16, 'centered': True}, lambda p: O.RMSprop(p, lr=0.01, alpha=0.9, eps=1e-8, centered=True, momentum=0.9)),
    ('adadelta', {'epsilon': 1e-6}, lambda p: O.Adadelta(p, lr=1, rho=0.9, eps=1e-6)),
]

cases = []
for name, options, make in CASES:
    w = weight.to(torch.float64).requires_grad_(True)
    optimizer = make([w])
    after = []
    for g in grads:
        w.grad = g.to(torch.float64)
        optimizer.step()
        after.append(w.detach().tolist())
    cases.append({'name': name, 'options': options, 'after': after})

with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), 'optimizers.json'), 'w') as out:
    json.dump({'torch': torch.__version__, 'weight': weight.tolist(), 'grads': [g.tolist() for g in grads], 'cases': cases}, out)
    out.write('\n')
print(len(cases), 'cases')
