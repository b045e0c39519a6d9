// What autograd promises besides numbers: modes, requests, what is kept and freed, what is refused. On both devices.
import { afterEach, describe, expect, test, vi } from 'vitest';
import { autograd, type Context, memoryInfo, type NDArray, nd } from 'webgluon';
import { eachDevice } from '../devices.ts';
import { expectArray } from '../values.ts';

afterEach(() => {
  vi.restoreAllMocks();
});

eachDevice((ctx: Context) => {
  const array = (values: number | readonly number[] | readonly (readonly number[])[]): NDArray =>
    nd.array(values as number[], { ctx });
  const variable = (
    values: number | readonly number[] | readonly (readonly number[])[],
    req?: 'write' | 'add' | 'null',
  ): NDArray => {
    const x = array(values);
    x.attachGrad(req);
    return x;
  };

  describe('the tutorial', () => {
    test('y = 2x²', async () => {
      const x = variable([
        [1, 2],
        [3, 4],
      ]);
      const y = autograd.record(() => x.mul(x).mul(2));
      y.backward();
      await expectArray(x.grad, [2, 2], [4, 8, 12, 16]);
    });

    test('control flow: b doubles until its norm reaches 1000', async () => {
      const a = variable([0.3, -1.2]);
      let b = autograd.record(() => a.mul(2));
      while ((await b.norm().asscalar()) < 1000) b = autograd.record(() => b.mul(2));
      const positive = (await b.sum().asscalar()) >= 0;
      const c = autograd.record(() => (positive ? b.at(0) : b.at(1)));
      c.backward();
      // c is linear in one element of a: its derivative is c / a there
      const slope = (await c.asscalar()) / (positive ? 0.3 : -1.2);
      await expectArray(a.grad, [2], positive ? [slope, 0] : [0, slope], { rtol: 1e-6, atol: 0 });
    });

    test('a head gradient weighs', async () => {
      const a = variable([1, 2]);
      const c = autograd.record(() => a.mul(a));
      const head = array([10, 0.1]);
      c.backward(head);
      await expectArray(a.grad, [2], [20, 0.4], { rtol: 1e-6, atol: 0 });
      // it is still the caller's
      await expectArray(head, [2], [10, 0.1], { rtol: 1e-6, atol: 0 });
    });
  });

  describe('requests', () => {
    test("'write' overwrites, 'add' adds, 'null' keeps none", async () => {
      const [w, a, n] = [variable([2]), variable([2], 'add'), variable([2], 'null')];
      for (let i = 0; i < 3; i++) autograd.record(() => w.mul(a).mul(n).add(a)).backward();
      await expectArray(w.grad, [1], [4]);
      await expectArray(a.grad, [1], [15]);
      expect(() => n.grad).toThrow(/attachGrad/);
    });

    test('a gradient is zeros before the first backward, and the same handle after', async () => {
      const x = variable([1, 2]);
      const g = x.grad;
      await expectArray(g, [2], [0, 0]);
      autograd.record(() => x.mul(3)).backward();
      expect(x.grad).toBe(g);
      await expectArray(g, [2], [3, 3]);
    });

    test('two variables that get one gradient do not share its memory', async () => {
      const [x, y] = [variable([1, 2]), variable([3, 4])];
      autograd.record(() => x.add(y)).backward();
      x.grad.imul(5);
      await expectArray(y.grad, [2], [1, 1]);
    });

    test('integers have none', () => {
      expect(() => nd.array([1], { ctx, dtype: 'int32' }).attachGrad()).toThrow(/float/);
    });

    test('without attachGrad there is none', () => {
      expect(() => array([1]).grad).toThrow(/attachGrad/);
    });
  });

  describe('modes', () => {
    test('nest, and end with what they began with', () => {
      const seen: string[] = [];
      const note = (): void => {
        seen.push(`${autograd.isRecording() ? 'r' : '-'}${autograd.isTraining() ? 't' : '-'}`);
      };
      note();
      autograd.record(() => {
        note();
        autograd.pause(note);
        autograd.predictMode(note);
        autograd.pause(note, true);
        autograd.record(note, false);
        note();
      });
      autograd.trainMode(note);
      expect(() =>
        autograd.record((): number => {
          throw new Error('no');
        }),
      ).toThrow('no');
      note();
      expect(seen).toEqual(['--', 'rt', '--', 'r-', '-t', 'r-', 'rt', '-t', '--']);
    });

    test('as using blocks', async () => {
      const x = variable([3]);
      let y: NDArray;
      {
        using _ = autograd.record();
        y = x.mul(x);
        {
          using _pause = autograd.pause();
          expect(autograd.isRecording()).toBe(false);
        }
        expect(autograd.isRecording()).toBe(true);
      }
      expect(autograd.isRecording()).toBe(false);
      y.backward();
      await expectArray(x.grad, [1], [6]);
    });

    test('a using block open at the end of the turn closes itself and says so', async () => {
      const warn = vi.spyOn(console, 'warn').mockImplementation(() => undefined);
      autograd.record();
      expect(autograd.isRecording()).toBe(true);
      await Promise.resolve();
      await Promise.resolve();
      expect(autograd.isRecording()).toBe(false);
      expect(warn.mock.calls[0]?.[0]).toMatch(/using/);
    });

    test('callbacks that give a Promise are refused', () => {
      const callback = (async () => 1) as never;
      for (const mode of ['record', 'pause', 'trainMode', 'predictMode'] as const)
        expect(() => autograd[mode](callback)).toThrow(/returns at once/);
      expect(autograd.isRecording()).toBe(false);
    });

    test('what is computed outside is not on the tape', () => {
      const x = variable([1]);
      expect(() => x.mul(2).backward()).toThrow(/record/);
      expect(() => autograd.record(() => autograd.pause(() => x.mul(2))).backward()).toThrow(/record/);
      expect(() => autograd.record(() => array([1]).mul(2)).backward()).toThrow(/attachGrad/);
    });
  });

  describe('the graph', () => {
    test('a second backward needs retainGraph', async () => {
      const x = variable([2], 'add');
      const y = autograd.record(() => x.mul(x).mul(x));
      y.backward({ retainGraph: true });
      y.backward();
      await expectArray(x.grad, [1], [24]);
      expect(() => y.backward()).toThrow(/retainGraph: true/);
    });

    test('several heads, with gradients of their own or none', async () => {
      const x = variable([1, 2]);
      const [y, z] = autograd.record(() => [x.mul(x), x.mul(3)] as const);
      autograd.backward([y, z], [null, array([10, 100])]);
      await expectArray(x.grad, [2], [32, 304]);
      expect(() => autograd.backward([y, z], [null])).toThrow(/2 heads/);
    });

    test('a head gradient of another shape is refused', () => {
      const x = variable([1, 2]);
      const y = autograd.record(() => x.mul(x));
      expect(() => y.backward(array([1]))).toThrow(/\(2,\).*\(1,\)/);
    });

    test('detach and blockGrad cut', async () => {
      const x = variable([3]);
      autograd.record(() => x.mul(x.detach()).add(nd.blockGrad(x).mul(x))).backward();
      await expectArray(x.grad, [1], [6]);
    });

    test('grad gives new arrays and leaves x.grad alone', async () => {
      const [x, y] = [variable([1, 2]), variable([3, 4])];
      const z = autograd.record(() => x.mul(y).mul(x));
      const [dx, dy] = autograd.grad(z, [x, y]) as [NDArray, NDArray];
      await expectArray(dx, [2], [6, 16]);
      await expectArray(dy, [2], [1, 4]);
      await expectArray(x.grad, [2], [0, 0]);
    });

    test('grad by what was computed on the way', async () => {
      const x = variable([2, 3]);
      const [h, y] = autograd.record(() => {
        const inner = x.mul(x);
        return [inner, inner.mul(inner).mul(x)] as const;
      });
      const [dh, dx] = autograd.grad(y, [h, x]) as [NDArray, NDArray];
      await expectArray(dh, [2], [16, 54]);
      await expectArray(dx, [2], [80, 405]);
    });

    test('grad by two that share one gradient gives two arrays', async () => {
      const [x, y] = [variable([1]), variable([2])];
      const [dx, dy] = autograd.grad(
        autograd.record(() => x.add(y)),
        [x, y],
      ) as [NDArray, NDArray];
      dx.dispose();
      await expectArray(dy, [1], [1]);
    });

    test('grad by what is flat is 0, by what plays no part an error', async () => {
      const [x, other] = [variable([1.5, -2]), variable([1])];
      const y = autograd.record(() => x.sign().sum());
      await expectArray(autograd.grad(y, x)[0] as NDArray, [2], [0, 0]);
      expect(() =>
        autograd.grad(
          autograd.record(() => x.mul(2)),
          other,
        ),
      ).toThrow(/depend/);
    });

    test('third derivatives', async () => {
      const x = variable([2]);
      const third = autograd.record(() => {
        let y = x.pow(4);
        for (let i = 0; i < 2; i++) y = autograd.grad(y, x, { createGraph: true })[0] as NDArray;
        return y;
      });
      third.backward();
      await expectArray(x.grad, [1], [48], { rtol: 1e-5, atol: 0 });
    });

    test('a gradient penalty: the gradient of a gradient of its norm', async () => {
      const W = [
        [0.1, 0.2],
        [0.3, 0.4],
      ] as const;
      const w = variable(W);
      const x = variable([[1, 1]]);
      autograd
        .record(() => {
          const y = nd.dot(x, w).tanh().sum();
          const dx = autograd.grad(y, x, { createGraph: true })[0] as NDArray;
          return dx.square().sum();
        })
        .backward();
      // computed in float64: d/dw Σ (w·sech²(xw))², x = (1, 1)
      const t = [Math.tanh(0.4), Math.tanh(0.6)] as const;
      const s = t.map((v) => 1 - v * v) as [number, number];
      const dx = W.map((row) => row[0] * s[0] + row[1] * s[1]) as [number, number];
      const expected = [0, 1].flatMap((i) =>
        [0, 1].map(
          (j) =>
            2 * (dx[i] as number) * (s[j] as number) +
            2 *
              [0, 1].reduce((sum, r) => sum + (dx[r] as number) * (W[r]?.[j] ?? 0), 0) *
              -2 *
              (t[j] as number) *
              (s[j] as number),
        ),
      );
      await expectArray(w.grad, [2, 2], expected, { rtol: 1e-5, atol: 1e-7 });
    });
  });

  describe('writing in place', () => {
    test('into what is on the tape is refused at the line', () => {
      const x = variable([1, 2]);
      autograd.record(() => {
        expect(() => x.iadd(1)).toThrow(/on the tape/);
        expect(() => x.set([0], 5)).toThrow(/on the tape/);
        const y = x.mul(2);
        expect(() => y.imul(2)).toThrow(/on the tape/);
      });
      // outside, and paused, it is the user's own business
      x.iadd(1);
      autograd.record(() => autograd.pause(() => x.isub(1)));
    });

    test('values from the tape go into a plain array by adding only', async () => {
      const x = variable([1, 2]);
      const sum = nd.zeros([2], { ctx });
      autograd.record(() => {
        sum.iadd(x.mul(x));
        expect(() => nd.ones([2], { ctx }).imul(x)).toThrow(/no gradient could flow/);
        expect(() => nd.ones([2], { ctx }).set([0], x.at(0))).toThrow(/no gradient could flow/);
      });
      sum.backward();
      await expectArray(x.grad, [2], [2, 4]);
    });

    test('between forward and backward is noticed where a gradient reads it', async () => {
      const x = variable([1, 2]);
      const y = autograd.record(() => x.mul(x));
      x.iadd(1);
      expect(() => y.backward()).toThrow(/written in place/);
      // where none does, nothing is wrong
      const z = autograd.record(() => x.add(x));
      x.iadd(1);
      z.backward();
      await expectArray(x.grad, [2], [2, 2]);
    });
  });

  describe('custom functions', () => {
    class Sigmoid extends autograd.Function {
      forward(x: NDArray): NDArray {
        const y = nd.sigmoid(x);
        this.saveForBackward(y);
        return y;
      }
      backward(dy: NDArray): NDArray {
        const [y] = this.savedTensors;
        return dy.mul(y).mul(y.rsub(1));
      }
    }

    test('run their own gradient', async () => {
      const x = variable([0, 1]);
      const y = autograd.record(() => new Sigmoid()(x.mul(2)).mul(3));
      y.backward();
      const s = (v: number): number => 1 / (1 + Math.exp(-v));
      await expectArray(
        x.grad,
        [2],
        [0, 2].map((v) => 6 * s(v) * (1 - s(v))),
        { rtol: 1e-5, atol: 1e-7 },
      );
    });

    test('of several inputs and outputs', async () => {
      class Both extends autograd.Function {
        forward(a: NDArray, b: NDArray): NDArray[] {
          this.saveForBackward(a, b);
          return [a.mul(b), a];
        }
        backward(dy: NDArray, dz: NDArray): NDArray[] {
          const [a, b] = this.savedTensors;
          return [dy.mul(b).add(dz), dy.mul(a)];
        }
      }
      const [a, b] = [variable([2]), variable([5])];
      const [y, z] = autograd.record(() => new Both()(a, b)) as [NDArray, NDArray];
      expect(z).not.toBe(a);
      autograd.backward([y, z]);
      await expectArray(a.grad, [1], [6]);
      await expectArray(b.grad, [1], [2]);
    });

    test('give back what they saved once backward has run', () => {
      const x = variable([1, 2, 3]);
      autograd.record(() => new Sigmoid()(x)).backward();
      const before = memoryInfo(ctx);
      nd.scope(() => {
        for (let i = 0; i < 5; i++) autograd.record(() => new Sigmoid()(x)).backward();
      });
      expect(memoryInfo(ctx).bytesInUse).toBe(before.bytesInUse);
    });

    test('that return too few gradients, or misshapen ones, are named', () => {
      class Bad extends autograd.Function {
        forward(a: NDArray, b: NDArray): NDArray {
          return a.add(b);
        }
        backward(dy: NDArray): NDArray[] {
          return [dy];
        }
      }
      class Misshapen extends autograd.Function {
        forward(a: NDArray): NDArray {
          return a.sum();
        }
        backward(dy: NDArray): NDArray {
          return dy;
        }
      }
      const x = variable([1, 2]);
      expect(() => autograd.record(() => new Bad()(x, x)).backward()).toThrow(/\[Bad\].*2 gradients/);
      expect(() => autograd.record(() => new Misshapen()(x)).backward()).toThrow(/\[Misshapen\].*\(2,\)/);
    });
  });

  describe('memory', () => {
    test('backward gives back what the tape kept; only gradients stay', () => {
      const x = nd.ones([64, 64], { ctx });
      x.attachGrad();
      autograd.record(() => x.mul(2)).backward();
      const level = memoryInfo(ctx).bytesInUse;
      const loss = nd.scope(() =>
        autograd.record(() => {
          let y = x;
          for (let i = 0; i < 20; i++) y = y.mul(y).tanh();
          return y.sum();
        }),
      );
      // each mul keeps its input, which is the output that the tanh before it keeps
      expect(memoryInfo(ctx).bytesInUse - level).toBeGreaterThan(19 * 64 * 64 * 4);
      expect(memoryInfo(ctx).bytesInUse - level).toBeLessThan(22 * 64 * 64 * 4);
      loss.backward();
      loss.dispose();
      expect(memoryInfo(ctx).bytesInUse).toBe(level);
    });

    test('what backward has passed is free before it ends', () => {
      const x = nd.ones([64, 64], { ctx });
      x.attachGrad();
      const seen: number[] = [];
      class Watch extends autograd.Function {
        forward(a: NDArray): NDArray {
          return a.mul(1);
        }
        backward(dy: NDArray): NDArray {
          seen.push(memoryInfo(ctx).bytesInUse);
          return dy.mul(1);
        }
      }
      const loss = nd.scope(() =>
        autograd.record(() => {
          let y = new Watch()(x);
          for (let i = 0; i < 10; i++) y = y.tanh();
          return new Watch()(y).sum();
        }),
      );
      loss.backward();
      const [first, last] = seen as [number, number];
      expect(first - last).toBeGreaterThanOrEqual(8 * 64 * 64 * 4);
    });

    test('constants are not kept for gradients that nobody wants', () => {
      const [x, big] = [variable([2]), nd.ones([1000], { ctx })];
      const level = memoryInfo(ctx).bytesInUse;
      const y = autograd.record(() => big.mul(x));
      y.dispose();
      // dx needs `big`, which is there anyway; x itself is needed by nothing
      expect(memoryInfo(ctx).bytesInUse).toBe(level);
    });

    test('steps without any dispose leave the library where it was', () => {
      const w = nd.ones([8, 8], { ctx });
      w.attachGrad();
      const own = (): number => {
        const { bytesInUse, userBytes } = memoryInfo(ctx);
        return bytesInUse - userBytes;
      };
      let level = -1;
      for (let i = 0; i < 30; i++) {
        const loss = autograd.record(() => nd.dot(w, w).softmax().square().sum());
        loss.backward();
        nd.scope(() => w.isub(w.grad.mul(0.1)));
        if (i === 1) level = own();
        if (i > 1) expect(own()).toBe(level);
      }
    });

    test('a tape that nobody can run back over is given back at once', () => {
      const x = nd.ones([64, 64], { ctx });
      x.attachGrad();
      autograd.record(() => x.mul(2)).backward();
      const level = memoryInfo(ctx).bytesInUse;
      const forward = (): NDArray => {
        let y = x;
        for (let i = 0; i < 5; i++) y = y.mul(y).tanh();
        return y.sum();
      };
      // a loss that is not followed back, because its scope ends or it is disposed
      nd.scope(() => {
        autograd.record(forward);
      });
      nd.scope(() => autograd.record(forward)).dispose();
      // and a graph of gradients that is not followed either
      nd.scope(() => {
        autograd.record(() => autograd.grad(forward(), x, { createGraph: true }));
      });
      expect(memoryInfo(ctx).bytesInUse).toBe(level);
    });

    test('a branch that was not followed leaves what the other needs', async () => {
      const x = variable([3]);
      const [kept, dropped] = autograd.record(() => {
        const h = x.mul(x);
        return [h.mul(h), h.exp()] as const;
      });
      dropped.dispose();
      kept.backward();
      await expectArray(x.grad, [1], [108]);
    });

    test('users may dispose of what the tape still needs', async () => {
      const x = variable([3]);
      const y = autograd.record(() => {
        const h = x.mul(x);
        const z = h.mul(h);
        h.dispose();
        return z;
      });
      y.backward();
      await expectArray(x.grad, [1], [108]);
    });

    test('a gradient survives the scope that computed it', async () => {
      const g = nd.scope(() => {
        const x = variable([1, 2]);
        autograd.record(() => x.mul(x)).backward();
        return x.grad;
      });
      await expectArray(g, [2], [2, 4]);
    });
  });

  describe('dropout', () => {
    test('drops in training mode only, scales what stays, and hands gradients through the same mask', async () => {
      const x = nd.ones([40, 50], { ctx });
      x.attachGrad();
      expect(nd.dropout(x, 0.25)).toBe(x);
      const y = autograd.record(() => nd.dropout(x, 0.25));
      y.backward();
      const [kept, gradient] = [await y.data(), await x.grad.data()];
      expect(gradient).toEqual(kept);
      const third = Math.fround(1 / 0.75);
      expect(new Set(kept)).toEqual(new Set([0, third]));
      const share = kept.filter((v) => v !== 0).length / kept.length;
      expect(Math.abs(share - 0.75)).toBeLessThan(0.05);
    });

    test('axes share one draw', async () => {
      const y = await nd
        .dropout(nd.ones([3, 64, 5], { ctx }), { p: 0.5, mode: 'always', axes: [0, 2] })
        .data();
      for (let c = 0; c < 64; c++) {
        const all = new Set<number>();
        for (let n = 0; n < 3; n++) for (let i = 0; i < 5; i++) all.add(y[(n * 64 + c) * 5 + i] as number);
        expect(all.size).toBe(1);
      }
      expect(new Set(y)).toEqual(new Set([0, 2]));
    });

    test('the same seed drops the same', async () => {
      const draw = (): Promise<unknown> => {
        nd.random.seed(7);
        return autograd.trainMode(() => nd.dropout(nd.ones([100], { ctx }), 0.5)).data();
      };
      expect(await draw()).toEqual(await draw());
    });

    test('rates outside [0, 1) are refused', () => {
      expect(() => nd.dropout(nd.ones([2], { ctx }), 1)).toThrow(/rate/);
      expect(() => nd.dropout(nd.ones([2], { ctx }), -0.1)).toThrow(/rate/);
    });
  });
});
