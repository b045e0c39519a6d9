// The gradient of a recorded call: what its forward keeps, and programs that run back over that. To the tape a replay is one call.
import { bodyOf, holdArray, makeArray, type NDArray } from '../array/ndarray.ts';
import { isRecording } from '../autograd/mode.ts';
import { checkUnchanged, recordCall } from '../autograd/tape.ts';
import { through } from '../autograd/through.ts';
import { DeviceLostError } from '../core/errors.ts';
import type { Program, ProgramStats } from '../device/device.ts';
import type { Storage } from '../ir/storage.ts';
import type { GradContext, Op } from '../ops/op.ts';
import { withOutputs } from './bound.ts';
import { type Joint, joint } from './joint.ts';
import { lower } from './lower.ts';
import { compileFor, disposeProgram } from './owned.ts';
import { replay } from './replay.ts';
import type { External, Trace, TraceRef } from './trace.ts';

export interface GradientOptions {
  /** By external: whether its gradient may be asked for. */
  readonly wants: readonly boolean[];
  /** By result: whether it goes on the tape. */
  readonly differentiable: readonly boolean[];
  readonly training: boolean;
  readonly staticAlloc: boolean;
}

/** A value that a call keeps: that of an external, in its memory, or one that the forward makes. */
export interface Kept {
  readonly external: number | null;
  readonly ref: TraceRef;
}

/** A program from what was kept and the gradients above. */
interface Backward {
  readonly program: Program;
  /** By input: a place in what was kept, or, from −1 down, an output of the call whose gradient it is. */
  readonly sources: readonly number[];
  readonly inputs: Storage[];
  readonly outputs: Storage[];
  /** The bytes of each output. */
  readonly made: readonly number[];
  /** By input of the call: which output is its gradient, or from −1 down which gradient above; null for none. */
  readonly gradients: readonly ({ readonly from: number; readonly ref: TraceRef } | null)[];
}

/** One replay, as the tape has it: what it kept, which the tape frees. */
interface Recorded {
  kept: readonly NDArray[];
}

const NONE: readonly number[] = [];

export class CachedGradient {
  /** The forward, up to `split`, whose values `kept` and the program's outputs are. */
  readonly joint: Joint;
  /** What a forward keeps: what the backward reads, then what only a backward that is recorded itself needs. */
  readonly kept: readonly Kept[];
  readonly #trace: Trace;
  readonly #options: GradientOptions;
  readonly #op: Op<Recorded>;
  /** The call's inputs as externals, its outputs as results: those that the tape knows. */
  readonly #inputs: readonly number[];
  readonly #outputs: readonly number[];
  /** How many of `kept` a backward reads. */
  readonly #saved: number;
  /** By value: its place in `kept`. */
  readonly #places: ReadonlyMap<number, number>;
  /** What is not to be drawn again: places in `kept` by the trace's own values. */
  readonly #drawn: ReadonlyMap<number, number>;
  /** By which gradients above are given: null where its backward reads what was not kept. */
  readonly #programs = new Map<string, Backward | null>();
  readonly #usual: string;

  /** The gradient of a call; null where none flows from a result to an external. */
  static of(trace: Trace, options: GradientOptions): CachedGradient | null {
    const { wants, differentiable, training } = options;
    const whole = joint(trace, wants, training, differentiable);
    return whole.gradients.every((gradient) => gradient === null)
      ? null
      : new CachedGradient(trace, options, whole);
  }

  private constructor(trace: Trace, options: GradientOptions, whole: Joint) {
    this.#trace = trace;
    this.#options = options;
    this.joint = whole;
    const { steps, externals } = whole.trace;
    this.#inputs = whole.gradients.flatMap((gradient, i) => (gradient === null ? [] : [i]));
    this.#outputs = whole.heads.flatMap((head, i) => (head === null ? [] : [i]));
    const refs = new Map<number, TraceRef>();
    for (const step of steps.slice(0, this.joint.split))
      if (step.kind === 'op') for (const ref of [...step.inputs, ...step.outputs]) refs.set(ref.value, ref);
    for (const { ref } of externals) refs.set(ref.value, ref);
    const written = new Set(this.joint.trace.writes.map(({ external }) => external));
    const kept: Kept[] = [];
    const places = new Map<number, number>();
    const keep = (value: number): number => {
      const known = places.get(value);
      if (known !== undefined) return known;
      const external = externals.findIndex(({ ref }) => ref.value === value);
      const inMemory = external >= 0 && external < trace.externals.length && !written.has(external);
      places.set(value, kept.length);
      return kept.push({ external: inMemory ? external : null, ref: refs.get(value) as TraceRef }) - 1;
    };
    for (const value of this.joint.saved) keep(value);
    this.#saved = kept.length;
    trace.externals.forEach((_, i) => {
      if (!written.has(i)) keep((externals[i] as External).ref.value);
    });
    const drawn = drawnBy(steps.slice(0, this.joint.split));
    this.#drawn = new Map(
      drawnBy(trace.steps).map((ref, i) => [ref.value, keep((drawn[i] as TraceRef).value)]),
    );
    this.kept = kept;
    this.#places = places;
    this.#op = {
      name: trace.name,
      family: 'graph',
      infer: (types) => types,
      run: null,
      grad: (c) => this.#back(c),
    };
    this.#usual = '1'.repeat(this.#outputs.length);
    this.#programs.set(this.#usual, this.#compile(this.joint));
  }

  get ready(): Promise<void> | undefined {
    return this.#programs.get(this.#usual)?.program.ready;
  }

  get stats(): ProgramStats | null {
    return this.#programs.get(this.#usual)?.program.stats ?? null;
  }

  /** Puts a replay on the tape. `made` gives a handle of the tape's own on what the forward made of `kept`. */
  record(args: readonly NDArray[], results: readonly NDArray[], made: (k: number) => NDArray): void {
    const { externals, name } = this.#trace;
    const arrayOf = (i: number): NDArray => {
      const { argument, array } = externals[i] as External;
      return array ?? (args[argument as number] as NDArray);
    };
    const recorded: Recorded = { kept: [] };
    const node = recordCall(
      this.#op,
      this.#inputs.map(arrayOf),
      recorded,
      this.#outputs.map((i) => results[i] as NDArray),
    );
    if (node === null) return;
    recorded.kept = node.saved;
    this.kept.forEach(({ external }, k) => {
      node.saved.push(external === null ? made(k) : holdArray(arrayOf(external), name));
    });
  }

  #back(c: GradContext<Recorded>): readonly (NDArray | null)[] {
    const { kept } = c.attrs;
    if (isRecording()) return this.#through(c);
    let key = '';
    for (let i = 0; i < this.#outputs.length; i++) key += c.given(i) ? '1' : '0';
    const backward = this.#programFor(key);
    if (backward === null) return this.#through(c);
    const { context, device, name } = this.#trace;
    const { program, sources, inputs, outputs, made } = backward;
    for (let k = 0; k < this.#saved; k++) checkUnchanged(kept[k] as NDArray, name);
    const above = (from: number): Storage => {
      const dy = bodyOf(c.dy(-1 - from), name);
      if (dy.device === device) return dy.storage;
      // one name, two devices: one of them is a generation that is gone
      throw new DeviceLostError(
        `expected gradients of the device that the call ran on, received one of ${context} after that was lost or closed. Load the parameters again, and record anew.`,
        { op: name },
      );
    };
    for (let k = 0; k < sources.length; k++) {
      const from = sources[k] as number;
      inputs[k] = from < 0 ? above(from) : bodyOf(kept[from] as NDArray, name).storage;
    }
    return withOutputs(this.#trace, made, outputs, () => {
      program.run(inputs, outputs, NONE, false);
      return backward.gradients.map((gradient, i) => {
        if (gradient === null || !c.wants(i)) return null;
        const { from, ref } = gradient;
        const storage = from < 0 ? above(from) : (outputs[from] as Storage);
        return makeArray(context, device, storage, ref.dtype, ref.shape);
      });
    });
  }

  #programFor(key: string): Backward | null {
    let found = this.#programs.get(key);
    if (found === undefined) {
      const { wants, training } = this.#options;
      const given = this.#trace.results.map((_, result) => key[this.#outputs.indexOf(result)] === '1');
      found = this.#compile(key === this.#usual ? this.joint : joint(this.#trace, wants, training, given));
      this.#programs.set(key, found);
    }
    return found;
  }

  /** The program of a backward; null where it reads what the forward does not keep. */
  #compile({ trace, split, heads, gradients, saved }: Joint): Backward | null {
    const { device, name } = this.#trace;
    if (saved.some((value) => !this.#places.has(value))) return null;
    const sources = new Map<number, number>(saved.map((value) => [value, this.#places.get(value) as number]));
    this.#outputs.forEach((result, i) => {
      const head = heads[result];
      if (head != null) sources.set(head.value, -1 - i);
    });
    const made: TraceRef[] = [];
    const wanted = this.#inputs.map((external) => {
      const ref = gradients[external] ?? null;
      if (ref === null) return null;
      const above = sources.get(ref.value) ?? 0;
      if (above < 0) return { from: above, ref };
      const known = made.findIndex(({ value }) => value === ref.value);
      return { from: known < 0 ? made.push(ref) - 1 : known, ref };
    });
    const { graph, inputs } = lower(trace, {
      from: split,
      inputs: [...sources.keys()],
      outputs: made.map(({ value }) => value),
      writes: false,
      stable: () => false,
    });
    const { staticAlloc } = this.#options;
    return {
      program: compileFor(this, graph, device, { name: `backward of ${name}`, staticAlloc }),
      sources: inputs.map((value) => {
        const from = sources.get(value);
        if (from === undefined)
          throw new Error(`the backward of ${name} reads value ${value}, which is not kept`);
        return from;
      }),
      inputs: new Array<Storage>(inputs.length),
      outputs: new Array<Storage>(made.length),
      made: made.map(({ value }) => trace.values[value]?.bytes ?? 0),
      gradients: wanted,
    };
  }

  /** The gradients by the forward's operations one by one: for a backward that is recorded itself. What was drawn is not drawn again. */
  #through(c: GradContext<Recorded>): readonly (NDArray | null)[] {
    const { kept } = c.attrs;
    const { externals, name } = this.#trace;
    const byValue = new Map<number, NDArray>();
    const own = this.joint.trace.externals;
    externals.forEach(({ ref }, i) => {
      const place = this.#places.get((own[i] as External).ref.value);
      if (place !== undefined) byValue.set(ref.value, kept[place] as NDArray);
    });
    for (const [value, place] of this.#drawn) byValue.set(value, kept[place] as NDArray);
    for (const held of kept) checkUnchanged(held, name);
    const values = this.#inputs.map((i) => (externals[i] as External).ref.value);
    return through(
      values.map((value) => byValue.get(value) as NDArray),
      (inputs) => {
        inputs.forEach((x, i) => {
          byValue.set(values[i] as number, x);
        });
        const results = replay(this.#trace, (value) => byValue.get(value));
        return this.#outputs.map((i) => results[i] as NDArray);
      },
      this.#outputs.map((_, i) => (c.given(i) ? c.dy(i) : null)),
    );
  }

  /** Gives programs' memory back; what a backward still needs is made again. */
  dispose(): void {
    for (const backward of this.#programs.values()) if (backward !== null) disposeProgram(backward.program);
    this.#programs.clear();
  }
}

/** What steps drew from a generator, in their order. */
function drawnBy(steps: Trace['steps']): TraceRef[] {
  return steps.flatMap((step) =>
    step.kind === 'op' && step.op.family === 'random' && step.inputs.length === 0 ? [...step.outputs] : [],
  );
}
