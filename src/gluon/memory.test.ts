// Who owns what a call makes. What the library made returns to its level after every call; results, kept arrays, fields and what hooks saw stay.
import { describe, expect, test } from 'vitest';
import { eachDevice } from '../../test/devices.ts';
import type { NDArray } from '../array/ndarray.ts';
import { type Context, cpu } from '../core/context.ts';
import * as nd from '../nd/index.ts';
import { memoryInfo } from '../nd/memory.ts';
import * as nn from './nn/index.ts';

function libraryBytes(ctx: Context = cpu()): number {
  const { bytesInUse, userBytes } = memoryInfo(ctx);
  return bytesInUse - userBytes;
}

function net(): nn.Sequential {
  return new nn.Sequential().add(
    new nn.Conv2D(4, 3, { activation: 'relu' }),
    new nn.BatchNorm(),
    new nn.MaxPool2D(),
    new nn.Dropout(0.5),
    new nn.Dense(8, { activation: 'tanh' }),
    new nn.Dense(3),
  );
}

class Keeping extends nn.Block {
  body = new nn.Dense(2);
  hidden: NDArray | undefined;
  inList: NDArray[] = [];
  byName = new Map<string, { value: NDArray }>();
  lost: NDArray | undefined;
  kept: NDArray | undefined;
  #scratch: NDArray[] = [];
  forward(x: NDArray): [NDArray, { twice: NDArray }] {
    const y = this.body(x);
    this.hidden = y.mul(2);
    this.inList = [y.mul(3)];
    this.byName.set('y', { value: y.mul(4) });
    this.#scratch = [y.mul(5)];
    outside.kept = nd.keep(y.mul(6));
    outside.lost = y.mul(7);
    return [y, { twice: y.add(this.#scratch[0] as NDArray) }];
  }
}
const outside: { kept?: NDArray; lost?: NDArray } = {};

eachDevice((ctx) => {
  test('over 200 forwards without dispose the library’s part stays', () => {
    const model = net();
    model.initialize({ ctx });
    const x = nd.ones([2, 1, 8, 8], { ctx });
    model(x).dispose();
    const level = libraryBytes(ctx);
    const all = memoryInfo(ctx).bytesInUse;
    const like = nd.zeros([2, 3], { ctx });
    const one = memoryInfo(ctx).bytesInUse - all;
    like.dispose();
    for (let i = 0; i < 200; i++) {
      const y = model(x);
      expect(libraryBytes(ctx)).toBe(level);
      // what is the user's is the result alone: 2 × 3 floats, in a buffer of the device's size
      expect(memoryInfo(ctx).bytesInUse - all).toBe(one);
      y.dispose();
    }
    expect(level).toBeGreaterThan(0);
  });
});

describe('memory of calls', () => {
  test('parameters are the library’s, and go with dispose()', () => {
    const before = memoryInfo(cpu());
    const model = net();
    model.initialize();
    model(nd.ones([1, 1, 8, 8])).dispose();
    expect(libraryBytes()).toBeGreaterThan(before.bytesInUse - before.userBytes);
    {
      using _ = model;
    }
    expect(libraryBytes()).toBe(before.bytesInUse - before.userBytes);
    expect(() => model[0].weight.data()).toThrow(/not initialized/);
    model.initialize();
    expect(model(nd.ones([1, 1, 8, 8])).shape).toEqual([1, 3]);
  });

  test('results, kept arrays and arrays on a custom block’s fields outlive the call', async () => {
    const block = new Keeping();
    block.initialize('ones');
    const [y, { twice }] = block(nd.ones([1, 3]));
    expect(await y.array()).toEqual([[3, 3]]);
    expect(await twice.array()).toEqual([[18, 18]]);
    expect(await block.hidden?.array()).toEqual([[6, 6]]);
    expect(await block.inList[0]?.array()).toEqual([[9, 9]]);
    expect(await block.byName.get('y')?.value.array()).toEqual([[12, 12]]);
    expect(await outside.kept?.array()).toEqual([[18, 18]]);
  });

  test('an intermediate used afterwards says which call freed it and how to keep it', () => {
    const block = new Keeping({ prefix: 'holder_' });
    block.initialize();
    block(nd.ones([1, 3]));
    expect(outside.lost?.isDisposed).toBe(true);
    expect(() => outside.lost?.add(1)).toThrow(/the call of holder \(Keeping\) made and freed.*nd\.keep/);
  });

  test('a block inside another is no scope of its own', async () => {
    const inner = new Keeping();
    class Outer extends nn.Block {
      inner = inner;
      forward(x: NDArray): NDArray {
        this.inner(x);
        // what the inner call made is still there
        return (outside.lost as NDArray).add(0);
      }
    }
    const outer = new Outer();
    outer.initialize('ones');
    expect(await outer(nd.ones([1, 3])).array()).toEqual([[21, 21]]);
    expect(await inner.hidden?.array()).toEqual([[6, 6]]);
  });

  test('hooks may hold on to what they are given', async () => {
    const model = net();
    model.initialize();
    let seen: NDArray | undefined;
    model[0].registerForwardHook((_block, _inputs, output) => {
      seen = output;
    });
    model(nd.ones([1, 1, 8, 8]));
    expect(seen?.shape).toEqual([1, 4, 6, 6]);
    expect(await seen?.sum().asscalar()).not.toBeNaN();
  });

  test('a throw frees everything and leaves the next call whole', () => {
    class Failing extends nn.Block {
      made: NDArray | undefined;
      fails = true;
      forward(x: NDArray): NDArray {
        this.made = x.mul(2);
        if (this.fails) throw new Error('on purpose');
        return this.made;
      }
    }
    const block = new Failing();
    const x = nd.ones([1000]);
    const before = memoryInfo(cpu()).bytesInUse;
    expect(() => block(x)).toThrow('on purpose');
    expect(memoryInfo(cpu()).bytesInUse).toBe(before);
    expect(block.made?.isDisposed).toBe(true);
    block.fails = false;
    expect(block(x).shape).toEqual([1000]);
  });

  test('the scopes of nd.scope and of a call fit into each other', () => {
    const model = net();
    model.initialize();
    let inside: NDArray | undefined;
    const y = nd.scope(() => {
      inside = model(nd.ones([1, 1, 8, 8]));
      return inside.add(1);
    });
    expect(inside?.isDisposed).toBe(true);
    expect(y.isDisposed).toBe(false);
    // drawn inside a scope, but a parameter
    expect(model[0].weight.data().isDisposed).toBe(false);
  });
});
