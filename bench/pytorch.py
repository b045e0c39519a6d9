# The same shapes in PyTorch, under the names of bench/gpu.mjs: what the card gives when nothing stands between. Eager, compiled (torch.compile) and, for the
# training step, a CUDA graph; float32 without TF32 unless asked.
#   python3 bench/pytorch.py [--quick] [--tf32] [--device cuda|cpu] [--only TEXT] [--json FILE]
import argparse
import json
import statistics
import time

import torch
import torch.nn as nn
import torch.nn.functional as F

parser = argparse.ArgumentParser()
parser.add_argument('--quick', action='store_true')
parser.add_argument('--tf32', action='store_true')
parser.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu')
parser.add_argument('--only', default='')
parser.add_argument('--json')
args = parser.parse_args()

device = torch.device(args.device)
cuda = device.type == 'cuda'
torch.backends.cuda.matmul.allow_tf32 = args.tf32
torch.backends.cudnn.allow_tf32 = args.tf32
torch.backends.cudnn.benchmark = True
torch.manual_seed(1)
CACHE = 2**22 if args.quick else 2**28  # larger than the second-level cache, bytes
BATCH_S = 0.02 if args.quick else 0.12
BATCHES = 3 if args.quick else 7
results = []


def wait():
    if cuda:
        torch.cuda.synchronize()


def timed(call):
    """Median seconds of one call: host time around a batch that ends in one wait, after warm-up."""
    count = 0

    def batch(n):
        nonlocal count
        begin = time.perf_counter()
        for _ in range(n):
            call(count)
            count += 1
        wait()
        return (time.perf_counter() - begin) / n

    batch(3)
    once = min(batch(3), batch(5))
    n = max(1, min(20000, round(BATCH_S / once)))
    return statistics.median(batch(n) for _ in range(BATCHES))


def add(name, unit, seconds, value):
    results.append({'name': name, 'unit': unit, 'value': value, 'ms': seconds * 1e3})
    print(f'{name}: {value:.4g} {unit} ({seconds * 1e3:.4g} ms)', flush=True)


def measure(name, shapes, call, unit, work):
    """`work`: floating-point operations or bytes of one call."""
    if args.only not in name:
        return
    size = 4 * sum(torch.Size(s).numel() for s in shapes)
    copies = max(1, min(64, -(-CACHE // size)))
    sets = [[torch.rand(s, device=device) * 2 - 1 for s in shapes] for _ in range(copies)]
    scale = 1e12 if unit == 'TFLOP/s' else 1e9
    with torch.no_grad():
        seconds = timed(lambda i: call(*sets[i % copies]))
    add(name, unit, seconds, work / seconds / scale)


def products():
    shapes = [(64,) * 3, (128,) * 3, (64, 256, 8)] if args.quick else [
        *[(n,) * 3 for n in (256, 512, 1024, 2048, 4096, 8192)], (16, 4096, 4096), (4096, 4096, 64)]
    for m, k, n in shapes:
        name = f'matmul {m}³' if m == n == k else f'matmul ({m}, {k}) · ({k}, {n})'
        measure(name, [(m, k), (k, n)], torch.matmul, 'TFLOP/s', 2 * m * n * k)
    v = 256 if args.quick else 8192
    measure(f'matmul ({v}, {v}) · ({v}, 1)', [(v, v), (v, 1)], torch.matmul, 'GB/s', 4 * v * v)


def layers():
    batch, rows = (2, [(16, 16, 14, 3, 1, False)]) if args.quick else (64, [
        (64, 64, 56, 3, 1, False), (128, 128, 28, 3, 1, False), (256, 256, 14, 3, 1, False), (512, 512, 7, 3, 1, False),
        (64, 128, 56, 3, 2, False), (64, 256, 56, 1, 1, False), (256, 64, 56, 1, 1, False), (144, 144, 56, 3, 1, True)])
    for inputs, channels, size, kernel, stride, depthwise in rows:
        name = (f'conv {kernel}×{kernel}{" depthwise" if depthwise else ""}{f" stride {stride}" if stride > 1 else ""}, '
                f'{inputs}→{channels}, {size}×{size}, batch {batch}')
        groups, pad = (channels if depthwise else 1), kernel // 2
        shapes = [(batch, inputs, size, size), (channels, inputs // groups, kernel, kernel)]
        out = (size + 2 * pad - kernel) // stride + 1
        flops = 2 * batch * channels * out * out * kernel * kernel * inputs // groups

        def conv(x, w):
            return F.conv2d(x, w, stride=stride, padding=pad, groups=groups)

        if depthwise:
            measure(name, shapes, conv, 'GB/s', 8 * batch * channels * size * size)
            continue
        measure(name, shapes, conv, 'TFLOP/s', flops)
        both = f'{name}, forward and both gradients'
        if args.only in both:
            x, w = (torch.rand(s, device=device, requires_grad=True) for s in shapes)
            dy = torch.ones(batch, channels, out, out, device=device)
            seconds = timed(lambda _: torch.autograd.grad(conv(x, w), (x, w), dy))
            add(both, 'TFLOP/s', seconds, 3 * flops / seconds / 1e12)


def bands():
    for text, size in ({'64K': 2**16} if args.quick else {'1M': 2**20, '16M': 2**24, '32M': 2**25}).items():
        shape = (size // 1024, 1024)
        measure(f'add, {text}', [shape, shape], torch.add, 'GB/s', 12 * size)
        measure(f'sigmoid, {text}', [shape], torch.sigmoid, 'GB/s', 8 * size)
        measure(f'softmax, {text}', [shape], lambda x: torch.softmax(x, -1), 'GB/s', 8 * size)
        measure(f'layer norm, {text}', [shape, (1024,), (1024,)], lambda x, g, b: F.layer_norm(x, (1024,), g, b), 'GB/s', 8 * size)


def lenet():
    return nn.Sequential(
        nn.Conv2d(1, 6, 5), nn.ReLU(), nn.MaxPool2d(2, 2), nn.Conv2d(6, 16, 3), nn.ReLU(), nn.MaxPool2d(2, 2),
        nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10)).to(device)


class BasicBlock(nn.Module):
    def __init__(self, before, channels, stride):
        super().__init__()
        self.first = unit(before, channels, 3, stride)
        self.second = unit(channels, channels, 3, 1)
        self.shortcut = nn.Identity() if stride == 1 else unit(before, channels, 1, stride)

    def forward(self, x):
        return F.relu(self.second(F.relu(self.first(x))) + self.shortcut(x))


def unit(before, channels, kernel, stride):
    return nn.Sequential(nn.Conv2d(before, channels, kernel, stride, kernel // 2, bias=False), nn.BatchNorm2d(channels))


def resnet(stem, stages, blocks, classes):
    layers, before = [*stem], stages[0]
    for channels in stages:
        for i in range(blocks):
            layers.append(BasicBlock(before, channels, 1 if i > 0 or channels == stages[0] else 2))
            before = channels
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(before, classes)).to(device)


def resnet8():
    return resnet([unit(3, 16, 3, 1), nn.ReLU()], [16, 32, 64], 1, 10)


def resnet18():
    return resnet([unit(3, 64, 7, 2), nn.ReLU(), nn.MaxPool2d(3, 2, 1)], [64, 128, 256, 512], 2, 1000)


def training(label, make, batch, shape, classes=10, unit='steps/s'):
    """A training step: eager, compiled (torch.compile) and as a CUDA graph."""
    if args.only not in label:
        return
    data = [(torch.rand(batch, *shape, device=device), torch.randint(0, classes, (batch,), device=device)) for _ in range(4)]

    def stepper(compiled):
        net = make()
        optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
        forward = torch.compile(net) if compiled else net

        def step(x, y):
            optimizer.zero_grad(set_to_none=False)
            loss = F.cross_entropy(forward(x), y)
            loss.backward()
            optimizer.step()
            return loss

        return step

    def report(kind, call):
        seconds = timed(call)
        add(f'{label}, {kind}', unit, seconds, 1 / seconds if unit == 'steps/s' else seconds * 1e3)

    step = stepper(False)
    report('eager', lambda i: step(*data[i % 4]))
    if args.quick:
        return
    try:
        step_c = stepper(True)
        report('compiled', lambda i: step_c(*data[i % 4]))
    except Exception as error:  # no compiler on the machine
        print(f'torch.compile: {error}')
    if cuda:
        step_g = stepper(False)
        x, y = (t.clone() for t in data[0])
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                step_g(x, y)
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            step_g(x, y)

        def replay(i):
            x.copy_(data[i % 4][0])
            y.copy_(data[i % 4][1])
            graph.replay()

        report('CUDA graph', replay)


def forward(label, make, batch, shape, suffix=', eager'):
    if args.only in label:
        net = make().eval()
        x = torch.rand(batch, *shape, device=device)
        with torch.no_grad():
            seconds = timed(lambda _: net(x))
        add(f'{label}{suffix}', 'ms', seconds, seconds * 1e3)


def nets():
    digits, cifar, pictures = (1, 28, 28), (3, 32, 32), (3, 224, 224)
    training('LeNet training step, batch 64', lenet, 64, digits)
    if not args.quick:
        training('ResNet-8 training step, batch 16', resnet8, 16, cifar)
    for batch in [1] if args.quick else [1, 64, 1024]:
        forward(f'LeNet forward, batch {batch}', lenet, batch, digits)
    if not args.quick:
        for batch in (1, 64):
            forward(f'ResNet-18 forward, batch {batch}', resnet18, batch, pictures, '')
        training('ResNet-18 training step, batch 32', resnet18, 32, pictures, 1000, 'ms')


def copy():
    if args.only in 'copy':
        size = 2**22 if args.quick else 2**27
        a = [torch.rand(size // 4, device=device) for _ in range(4)]
        seconds = timed(lambda i: a[(i + 1) % 4].copy_(a[i % 4]))
        add('copy', 'GB/s', seconds, 2 * size / seconds / 1e9)


for part in (copy, products, layers, bands, nets):
    part()
name = torch.cuda.get_device_name(device) if cuda else 'cpu'
print(f'\n| PyTorch {torch.__version__}, {name}{", TF32" if args.tf32 else ""} | |\n|---|---|')
for row in results:
    print(f'| {row["name"]} | {row["value"]:.4g} {row["unit"]} |')
if args.json:
    with open(args.json, 'w') as file:
        json.dump({'device': name, 'torch': torch.__version__, 'results': results}, file, indent=1)
