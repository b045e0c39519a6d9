# Losses and their gradients in float64 by PyTorch, from inputs that float32 holds exactly. Writes losses.json beside this file.
# Run with a Python that has PyTorch (Debian: python3-torch): python3 losses.py
import json
import math
import os

import torch
import torch.nn.functional as F

torch.manual_seed(7)
f64 = torch.float64
cases = []


def rnd(*shape, low=-2.0, high=2.0):
    x = torch.rand(*shape, dtype=torch.float32) * (high - low) + low
    return x.to(f64)


def per_sample(x, batch_axis=0):
    axes = [a for a in range(x.dim()) if a != batch_axis % x.dim()]
    return x.mean(axes) if axes else x


def pack(x):
    if x is None:
        return None
    if x.dtype in (torch.int64, torch.int32):
        return {'dtype': 'int32', 'shape': list(x.shape), 'data': x.flatten().tolist()}
    return {'dtype': 'float32', 'shape': list(x.shape), 'data': x.flatten().tolist()}


def case(name, loss, options, inputs, fn, wrt=(0,)):
    """fn(*inputs) -> loss by our conventions; gradients of sum(head * loss) by inputs[i] for i in wrt."""
    given = [x.clone() if x is not None else None for x in inputs]
    for i in wrt:
        given[i].requires_grad_(True)
    y = fn(*given)
    head = rnd(*y.shape, low=0.5, high=1.5)
    grads = torch.autograd.grad((head * y).sum(), [given[i] for i in wrt])
    cases.append({
        'name': name, 'loss': loss, 'options': options, 'inputs': [pack(x) for x in inputs], 'wrt': list(wrt),
        'head': pack(head), 'value': pack(y.detach()), 'grads': [pack(g) for g in grads],
    })


pred, label, weight = rnd(4, 5), rnd(4, 5), rnd(4, 1, low=0.2, high=2)
cube, cube_label = rnd(3, 4, 2), rnd(3, 4, 2)

# regression
case('l1', 'L1Loss', {}, [pred, label], lambda p, t: per_sample((p - t).abs()), (0, 1))
case('l1 weighted', 'L1Loss', {'weight': 0.25}, [pred, label, weight], lambda p, t, w: per_sample((p - t).abs() * w) * 0.25, (0, 1, 2))
case('l2', 'L2Loss', {}, [pred, label], lambda p, t: per_sample((p - t) ** 2) / 2, (0, 1))
case('l2 vector', 'L2Loss', {}, [pred[:, 0], label[:, :1]], lambda p, t: (p - t[:, 0]) ** 2 / 2, (0,))
case('l2 batch axis 1', 'L2Loss', {'weight': 3, 'batchAxis': 1}, [cube, cube_label], lambda p, t: per_sample((p - t) ** 2, 1) * 1.5, (0, 1))
case('huber', 'HuberLoss', {}, [pred, label], lambda p, t: per_sample(F.smooth_l1_loss(p, t, reduction='none')), (0, 1))
case('huber rho', 'HuberLoss', {'rho': 0.3}, [pred, label, weight], lambda p, t, w: per_sample(F.smooth_l1_loss(p, t, reduction='none', beta=0.3) * w), (0, 1))
counts = torch.tensor([[0., 1, 2, 5, 3], [1, 1, 7, 2, 0], [4, 2, 2, 1, 9], [0, 3, 1, 6, 2]], dtype=f64)
rates = rnd(4, 5, low=0.2, high=4)
case('poisson', 'PoissonNLLLoss', {}, [pred, counts], lambda p, t: F.poisson_nll_loss(p, t, reduction='none').mean().reshape(1))
case('poisson full', 'PoissonNLLLoss', {'computeFull': True}, [pred, counts], lambda p, t: F.poisson_nll_loss(p, t, full=True, reduction='none').mean().reshape(1))
case('poisson rates', 'PoissonNLLLoss', {'fromLogits': False, 'weight': 2}, [rates, counts, weight], lambda p, t, w: 2 * (F.poisson_nll_loss(p, t, log_input=False, reduction='none') * w).mean().reshape(1))

# cross-entropies
classes = torch.tensor([3, 0, 4, 1])
case('softmax', 'SoftmaxCrossEntropyLoss', {}, [pred * 3, classes], lambda p, t: F.cross_entropy(p, t, reduction='none'))
case('softmax float label column', 'SoftmaxCrossEntropyLoss', {'weight': 0.5}, [pred, classes.to(f64).reshape(4, 1), weight], lambda p, t, w: F.cross_entropy(p, t[:, 0].long(), reduction='none') * w[:, 0] * 0.5, (0, 2))
case('softmax logits', 'SoftmaxCrossEntropyLoss', {'fromLogits': True}, [F.log_softmax(pred, 1).float().to(f64), classes], lambda p, t: F.nll_loss(p, t, reduction='none'))
case('softmax dense', 'SoftmaxCrossEntropyLoss', {'sparseLabel': False}, [pred, F.softmax(label, 1).float().to(f64)], lambda p, t: -(F.log_softmax(p, 1) * t).sum(1), (0, 1))
places = torch.tensor([[0, 3], [2, 1], [3, 3]])
case('softmax axis', 'SoftmaxCrossEntropyLoss', {'axis': 1}, [cube, places], lambda p, t: F.cross_entropy(p, t, reduction='none').mean(1))
extreme = torch.tensor([[100., -100, 0, 5, 3], [-1e4, 1e4, 0, 0, 0], [0, 0, 0, 0, 0], [80, 80, 80, 80, 80]], dtype=f64)
case('softmax extreme', 'SoftmaxCrossEntropyLoss', {}, [extreme, classes], lambda p, t: F.cross_entropy(p, t, reduction='none'))
bits = torch.tensor([[0., 1, 1, 0, 1], [1, 1, 0, 0, 0], [0, 0, 0, 1, 1], [1, 0, 1, 0, 1]], dtype=f64)
positive = rnd(1, 5, low=0.5, high=3)
case('sigmoid', 'SigmoidBinaryCrossEntropyLoss', {}, [pred, bits], lambda p, t: per_sample(F.binary_cross_entropy_with_logits(p, t, reduction='none')), (0, 1))
case('sigmoid at zero and far out', 'SigmoidBinaryCrossEntropyLoss', {}, [extreme, bits], lambda p, t: per_sample(F.binary_cross_entropy_with_logits(p, t, reduction='none')))
case('sigmoid weights', 'SigmoidBinaryCrossEntropyLoss', {}, [pred, bits, weight, positive], lambda p, t, w, q: per_sample(F.binary_cross_entropy_with_logits(p, t, reduction='none', pos_weight=q) * w), (0, 2))
probs = rnd(4, 5, low=0.05, high=0.95)
case('sigmoid of probabilities', 'SigmoidBinaryCrossEntropyLoss', {'fromSigmoid': True}, [probs, bits], lambda p, t: per_sample(F.binary_cross_entropy(p, t, reduction='none')))
case('sigmoid of probabilities, weights', 'SigmoidBinaryCrossEntropyLoss', {'fromSigmoid': True}, [probs, bits, None, positive], lambda p, t, _, q: per_sample(-(q * t * p.log() + (1 - t) * (1 - p).log())))
soft = F.softmax(label, 1).float().to(f64)
case('kl', 'KLDivLoss', {}, [F.log_softmax(pred, 1).float().to(f64), soft], lambda p, t: per_sample(F.kl_div(p, t, reduction='none')))
case('kl from scores', 'KLDivLoss', {'fromLogits': False}, [pred, soft], lambda p, t: per_sample(F.kl_div(F.log_softmax(p, 1), t, reduction='none')))

# margins
signs = bits * 2 - 1
case('hinge', 'HingeLoss', {}, [pred, signs], lambda p, t: per_sample(F.relu(1 - p * t)), (0, 1))
case('squared hinge', 'SquaredHingeLoss', {'margin': 1.5}, [pred, signs], lambda p, t: per_sample(F.relu(1.5 - p * t) ** 2))
case('logistic', 'LogisticLoss', {}, [pred, signs], lambda p, t: per_sample(F.soft_margin_loss(p, t, reduction='none')))
case('logistic binary', 'LogisticLoss', {'labelFormat': 'binary'}, [pred, bits, weight], lambda p, t, w: per_sample(F.soft_margin_loss(p, 2 * t - 1, reduction='none') * w))
near, far = rnd(4, 5), rnd(4, 5)
case('triplet', 'TripletLoss', {'margin': 2}, [pred, near, far], lambda p, a, b: F.relu(((a - p) ** 2 - (b - p) ** 2).sum(1) + 2), (0, 1, 2))
alike = torch.tensor([1., -1, -1, 1], dtype=f64)
case('cosine', 'CosineEmbeddingLoss', {}, [pred, near, alike], lambda a, b, t: F.cosine_embedding_loss(a, b, t, reduction='none'), (0, 1))
case('cosine margin', 'CosineEmbeddingLoss', {'margin': 0.2, 'weight': 2}, [near, near + 0.5 * far, -alike], lambda a, b, t: 2 * F.cosine_embedding_loss(a, b, t, margin=0.2, reduction='none'), (0, 1))

# connectionist temporal classification; PyTorch takes (T, N, C)
scores = rnd(3, 8, 4)
labels = torch.tensor([[1, 0, -1, -1], [2, 1, 1, -1], [0, 1, 0, 2]])


def ctc(p, t, plen=None, tlen=None):
    n, steps, alphabet = p.shape
    plen = torch.full((n,), steps) if plen is None else plen.long()
    tlen = (t >= 0).sum(1) if tlen is None else tlen.long()
    return F.ctc_loss(F.log_softmax(p, 2).transpose(0, 1), t.clamp(min=0), plen, tlen, blank=alphabet - 1, reduction='none')


case('ctc', 'CTCLoss', {}, [scores, labels], lambda p, t: ctc(p, t))
case('ctc TNC TN', 'CTCLoss', {'layout': 'TNC', 'labelLayout': 'TN', 'weight': 2}, [scores.transpose(0, 1).contiguous(), labels.t().contiguous()], lambda p, t: 2 * ctc(p.transpose(0, 1), t.t()))
case('ctc lengths', 'CTCLoss', {}, [scores, labels.clamp(min=0), torch.tensor([8, 5, 7]), torch.tensor([2, 3, 4])], lambda p, t, a, b: ctc(p, t, a, b))
case('ctc one label, one empty', 'CTCLoss', {}, [scores[:2], torch.tensor([[2], [-1]])], lambda p, t: ctc(p, t))

with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), 'losses.json'), 'w') as out:
    json.dump({'torch': torch.__version__, 'cases': cases}, out)
    out.write('\n')
print(len(cases), 'cases')
