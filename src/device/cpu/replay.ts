// A plan as the CPU device runs it again and again: every step made ready once, operands that are told their places before a run, one block of memory for all slots.
// How a kernel runs is the runners' business.
import type { Operand } from '../../ir/kernel.ts';
import type { Place, Plan, PlanOperand } from '../../ir/plan.ts';
import type { Storage } from '../../ir/storage.ts';
import type { CompileOptions, Program } from '../device.ts';
import { programs, type Ready, type ReplayHost } from './programs.ts';
import type { KernelTimer } from './timer.ts';

/** Slots begin at multiples of this: a cache line. */
const ALIGN = 64;

/** Memory whose place is told before a run. */
class Spot implements Storage {
  readonly buffer = 0;
  offset = 0;
  readonly bytes = 0;
  refs = 0;
  userRefs = 0;
}

/** Several spots in one block of memory. */
class Block {
  readonly #spots: Spot[] = [];
  readonly #starts: number[] = [];
  #bytes = 0;
  #at = -1;
  /** The memory, while there is some. */
  storage: Storage | null = null;

  add(spot: Spot, bytes: number): void {
    this.#spots.push(spot);
    this.#starts.push(this.#bytes);
    this.#bytes += Math.ceil(bytes / ALIGN) * ALIGN;
  }

  get bytes(): number {
    return this.#bytes;
  }

  take(host: ReplayHost, op: string): Storage {
    const storage = host.alloc(this.#bytes, op);
    this.storage = storage;
    const at = storage.offset;
    if (at !== this.#at) {
      for (let i = 0; i < this.#spots.length; i++)
        (this.#spots[i] as Spot).offset = at + (this.#starts[i] as number);
      this.#at = at;
    }
    return storage;
  }

  give(host: ReplayHost): void {
    if (this.storage !== null) host.free(this.storage);
    this.storage = null;
  }
}

/** A step's scalars: numbers, some of which are put in before each run. */
interface Scalars {
  readonly values: number[];
  /** Places in `values` and in the run's scalars. */
  readonly from: readonly { readonly at: number; readonly slot: number }[];
}

class CpuProgram implements Program {
  readonly ready: Promise<void> = Promise.resolve();
  readonly stats: { dispatches: number; prologue: number; slots: number; slotBytes: number; runs: number };
  readonly #host: ReplayHost;
  readonly #options: CompileOptions;
  readonly #prologue: number;
  readonly #inputs: readonly Spot[];
  readonly #outputs: readonly Spot[];
  readonly #steps: readonly Ready[];
  readonly #scalars: readonly (readonly number[])[];
  readonly #filled: readonly Scalars[];
  readonly #labels: readonly string[];
  readonly #passing = new Block();
  readonly #kept = new Block();
  #warm = false;
  #closed = false;

  constructor(host: ReplayHost, plan: Plan, options: CompileOptions) {
    this.#host = host;
    this.#options = options;
    this.#prologue = plan.prologue;
    this.#inputs = Array.from({ length: plan.inputs }, () => new Spot());
    this.#outputs = Array.from({ length: plan.outputs }, () => new Spot());
    const slots = plan.slots.map((bytes, i) => {
      const spot = new Spot();
      (plan.kept.has(i) ? this.#kept : this.#passing).add(spot, bytes);
      return spot;
    });
    const constants = plan.constants.map(({ byteLength }) => {
      const spot = new Spot();
      this.#kept.add(spot, byteLength);
      return spot;
    });
    const spots = { input: this.#inputs, output: this.#outputs, slot: slots, constant: constants };
    const operandOf = ({ place, dtype, shape }: PlanOperand): Operand => ({
      storage: spotAt(spots, place),
      dtype,
      shape,
    });
    this.#steps = plan.steps.map((step) =>
      host.prepare(step, step.inputs.map(operandOf), step.outputs.map(operandOf)),
    );
    const filled: Scalars[] = [];
    this.#scalars = plan.steps.map(({ scalars }) => {
      const values = scalars.map((scalar) => (typeof scalar === 'number' ? scalar : Number.NaN));
      const from = scalars.flatMap((scalar, at) =>
        typeof scalar === 'number' ? [] : [{ at, slot: scalar.slot }],
      );
      if (from.length > 0) filled.push({ values, from });
      return values;
    });
    this.#filled = filled;
    this.#labels = plan.steps.map(({ ops, kernel }) => (ops.length > 0 ? ops.join('+') : kernel.name));
    if (this.#kept.bytes > 0) this.#kept.take(host, options.name);
    const memory = this.#kept.storage;
    if (memory !== null)
      plan.constants.forEach((bytes, i) => {
        host.write(memory, bytes, (constants[i] as Spot).offset - memory.offset);
      });
    this.stats = {
      dispatches: plan.steps.length - plan.prologue,
      prologue: plan.prologue,
      slots: plan.slots.length,
      slotBytes: plan.slots.reduce((sum, bytes) => sum + bytes, 0),
      runs: 0,
    };
  }

  run(
    inputs: readonly Storage[],
    outputs: readonly Storage[],
    scalars: readonly number[],
    refresh: boolean,
  ): void {
    if (this.#closed) throw new Error(`${this.#options.name}: the program is disposed of`);
    const host = this.#host;
    const passing = this.#passing;
    host.begin(this.#options.name);
    for (let i = 0; i < this.#inputs.length; i++)
      (this.#inputs[i] as Spot).offset = (inputs[i] as Storage).offset;
    for (let i = 0; i < this.#outputs.length; i++)
      (this.#outputs[i] as Spot).offset = (outputs[i] as Storage).offset;
    for (const { values, from } of this.#filled)
      for (const { at, slot } of from) values[at] = scalars[slot] ?? Number.NaN;
    if (passing.storage === null && passing.bytes > 0) passing.take(host, this.#options.name);
    try {
      const first = refresh || !this.#warm ? 0 : this.#prologue;
      const end = this.#steps.length;
      if (host.timer !== null) this.#runTimed(host.timer, first);
      else for (let i = first; i < end; i++) (this.#steps[i] as Ready)(this.#scalars[i] as readonly number[]);
      host.stats.dispatches += end - first;
      this.#warm = true;
      this.stats.runs++;
    } finally {
      if (!this.#options.staticAlloc) passing.give(host);
    }
  }

  #runTimed(timer: KernelTimer, first: number): void {
    for (let i = first; i < this.#steps.length; i++) {
      const began = performance.now();
      (this.#steps[i] as Ready)(this.#scalars[i] as readonly number[]);
      timer.add(this.#labels[i] as string, began);
    }
  }

  dispose(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#passing.give(this.#host);
    this.#kept.give(this.#host);
  }
}

programs.make = (host, plan, options) => new CpuProgram(host, plan, options);

function spotAt(spots: { readonly [K in Place['kind']]: readonly Spot[] }, { kind, index }: Place): Spot {
  return spots[kind][index] as Spot;
}
