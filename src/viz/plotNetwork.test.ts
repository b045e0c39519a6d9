import { expect, test } from 'vitest';
import { cpu } from '../core/context.ts';
import { deviceOf } from '../device/registry.ts';
import {
  ArgumentError,
  memoryInfo,
  type NDArray,
  NotInitializedError,
  nd,
  nn,
  random,
  viz,
} from '../index.ts';

function lenet(): nn.Sequential {
  const net = new nn.Sequential({ prefix: 'lenet_' });
  net.add(
    new nn.Conv2D(6, 5, { activation: 'relu' }),
    new nn.MaxPool2D(2, 2),
    new nn.Conv2D(16, 3, { activation: 'relu' }),
    new nn.MaxPool2D(2, 2),
    new nn.Dense(120, { activation: 'relu' }),
    new nn.Dense(84, { activation: 'relu' }),
    new nn.Dense(10),
  );
  return net;
}

class Residual extends nn.HybridBlock {
  body = new nn.Dense(4, { activation: 'relu' });
  forward(x: NDArray, y: NDArray): [NDArray, NDArray] {
    const z = this.body(x).add(y);
    return [z, z.sub(x)];
  }
}

/** The texts that an SVG shows, after a check that its tags are balanced and its text has no bare markup. */
function shown(svg: string): string[] {
  const open: string[] = [];
  const texts: string[] = [];
  let end = 0;
  for (const { 0: tag, 1: name = '', index } of svg.matchAll(
    /<\/?([a-z]+)(?: [\w-]+(?::\w+)?="[^"<]*")*\/?>/g,
  )) {
    const between = svg.slice(end, index);
    expect(between).not.toMatch(/[<>]|&(?!#\d+;)/);
    if (between !== '') texts.push(between);
    if (tag.startsWith('</')) expect(open.pop()).toBe(name);
    else if (!tag.endsWith('/>')) open.push(name);
    end = index + tag.length;
  }
  expect(open).toEqual([]);
  expect(end).toBe(svg.length);
  return texts;
}

const heading = (texts: readonly string[], word: string): string =>
  texts.find((t) => t.startsWith(word)) ?? '';

test('a net before and after fusion, with its parameters and shapes', () => {
  const net = lenet();
  net.initialize();
  const svg = viz.plotNetwork(net, [1, 1, 28, 28]);
  expect(svg).toMatch(/^<svg xmlns="http:\/\/www\.w3\.org\/2000\/svg" [^>]*role="img"/);
  // a page's policy may forbid inline styles, and a page may show several
  expect(svg).not.toMatch(/<style|\s(style|id|class)=/);
  const texts = shown(svg);
  expect(texts.slice(0, 2)).toEqual([
    'Graph of lenet (Sequential)',
    expect.stringMatching(/^lenet \(Sequential\) for input \(1, 1, 28, 28\)\. As written: \d+ operations/),
  ]);
  const operations = Number(/\d+/.exec(heading(texts, 'As written'))?.[0]);
  const kernels = Number(/\d+/.exec(heading(texts, 'Fused'))?.[0]);
  expect(operations).toBe(11);
  expect(kernels).toBeLessThanOrEqual(7);
  for (const text of [
    'convolution',
    '0.weight (6, 1, 5, 5)',
    '(1, 6, 24, 24)',
    '6.weight (10, 84)',
    '6.bias (10,)',
    '(1, 10)',
    'output',
  ])
    expect(texts).toContain(text);
});

test('one of the two, by choice', () => {
  const net = lenet();
  net.initialize();
  const kinds = (fused: boolean): string[] =>
    shown(viz.plotNetwork(net, [1, 1, 28, 28], { fused })).filter((text) => /^(As written|Fused)/.test(text));
  expect(kinds(true)).toEqual([expect.stringMatching(/^Fused/)]);
  expect(kinds(false)).toEqual([expect.stringMatching(/^As written/)]);
});

test('nothing is computed, drawn or kept; the same net gives the same text', () => {
  const net = lenet();
  net.add(new nn.Dropout(0.5), new nn.BatchNorm());
  net.initialize();
  net(nd.ones([1, 1, 28, 28]));
  const device = deviceOf(cpu());
  random.seed(5);
  const [dispatches, memory] = [device.stats.dispatches, memoryInfo(cpu())];
  const svg = viz.plotNetwork(net, [1, 1, 28, 28]);
  expect(viz.plotNetwork(net, nd.ones([1, 1, 28, 28]))).toBe(svg);
  expect(device.stats.dispatches - dispatches).toBe(1);
  expect(memoryInfo(cpu()).arrays).toBeLessThanOrEqual(memory.arrays + 1);
  const drawn = String(nd.random.uniform({ shape: [2] }));
  random.seed(5);
  expect(String(nd.random.uniform({ shape: [2] }))).toBe(drawn);
});

test('several inputs and outputs', () => {
  const net = new Residual();
  net.initialize();
  const texts = shown(
    viz.plotNetwork(
      net,
      [
        [2, 4],
        [2, 4],
      ],
      { fused: false },
    ),
  );
  expect(texts.filter((text) => text === 'x0' || text === 'x1' || text === 'output')).toEqual([
    'x0',
    'x1',
    'output',
    'output',
  ]);
  expect(texts).toContain('body.weight (4, 4)');
});

test('refuses what cannot be drawn', () => {
  const net = lenet();
  expect(() => viz.plotNetwork(net, [1, 1, 28, 28])).toThrow(NotInitializedError);
  expect(() => viz.plotNetwork(7 as never, [1])).toThrow(/^\[plotNetwork\] expected a block, received 7/);
  net.initialize();
  expect(() => viz.plotNetwork(net, [1, 28])).toThrow(/^\[Conv2D\]/);
  expect(() => viz.plotNetwork(net, 'x' as never)).toThrow(ArgumentError);
  expect(() => viz.plotNetwork(net, [1, 1, 28, 28], { Fused: true } as never)).toThrow(/fused/);
});

test.each([{}, { fused: false }, { fused: true }])(
  'every name of the legend ends within the margin: %o',
  (options) => {
    const net = lenet();
    net.initialize();
    const svg = viz.plotNetwork(net, [1, 1, 28, 28], options);
    const width = Number(/ width="(\d+)"/.exec(svg)?.[1]);
    const names = [
      ...svg.matchAll(/<text x="(\d+)" y="[\d.]+">((?:product|view|elementwise|pooling)[^<]*)</g),
    ]
      .map(([, x, name = '']) => ({ name, end: Number(x) + 6.6 * name.length }))
      .filter(({ name }) => /^(product, |view, |elementwise$|pooling$)/.test(name));
    expect(names.length).toBeGreaterThanOrEqual(2);
    for (const { name, end } of names.slice(-4)) expect(end, name).toBeLessThanOrEqual(width - 20);
  },
);
