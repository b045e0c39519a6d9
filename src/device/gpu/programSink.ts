// What a plan's steps dispatch, written down: the lowering functions run once, over storages that stand for places, and what they would encode becomes a
// list. Scalars of the run stand as numbers that no kernel has, and are recognised when a lowering function hands them on as parameters.
import { draws } from '../../ir/graph.ts';
import type { Operand } from '../../ir/kernel.ts';
import type { Place, Plan, PlanOperand, PlanStep } from '../../ir/plan.ts';
import type { Storage } from '../../ir/storage.ts';
import { lowerKernel } from './kernels.ts';
import type { DispatchSink, GpuShader, GpuTraits } from './lowering.ts';
import type { DynamicWord } from './programCode.ts';
import { constantShader } from './programCode.ts';
import { toI32, toU32 } from './uniformRing.ts';
import { wgslTypeOf } from './wgslTypes.ts';

/** Words of a dispatch's parameters. */
const MAX_WORDS = 64;

/** One dispatch of a program. */
export interface RecordedDispatch {
  readonly shader: GpuShader;
  /** For each binding, which of the program's memories it is: see `Recording`. */
  readonly memories: readonly number[];
  readonly x: number;
  readonly y: number;
  readonly z: number;
  /** Parameters, as bits; those that are dynamic are 0. */
  readonly words: Uint32Array;
  readonly dynamic: readonly DynamicWord[];
  /** What it belongs to. */
  readonly step: PlanStep;
}

/** So many bytes from the beginning of a memory on, reaching beyond its end. */
export interface MemorySpan {
  readonly of: number;
  readonly bytes: number;
}

/** A step whose dispatches are not known ahead (a random draw), and before which dispatch it stands. */
export interface RecordedCall {
  readonly before: number;
  readonly step: PlanStep;
}

/** A plan as dispatches. Memories are numbered: inputs, outputs, slots, constants, temporaries, then spans. */
export interface Recording {
  readonly dispatches: readonly RecordedDispatch[];
  readonly calls: readonly RecordedCall[];
  /** How many of the dispatches, and of the calls, belong to the prologue. */
  readonly prologue: number;
  readonly prologueCalls: number;
  /** The bytes of each temporary. */
  readonly temporaries: readonly number[];
  readonly spans: readonly MemorySpan[];
}

/** The number of a place among a plan's memories. */
export function memoryOf(plan: Plan, place: Place): number {
  switch (place.kind) {
    case 'input':
      return place.index;
    case 'output':
      return plan.inputs + place.index;
    case 'slot':
      return plan.inputs + plan.outputs + place.index;
    case 'constant':
      return plan.inputs + plan.outputs + plan.slots.length + place.index;
  }
}

/** What stands for scalar `slot` while a plan is lowered: far beyond every float32, and exact. */
const standIn = (slot: number): number => -(2 ** 1000) * (1 + slot * 2 ** -30);

/** Stands for a memory of the program. */
function memory(number: number, bytes: number): Storage {
  return { buffer: number, offset: 0, bytes, refs: 0, userRefs: 0 };
}

/** Spans are numbered from here on until it is known how many temporaries there are. */
const SPANS = 2 ** 30;

class ProgramSink implements DispatchSink {
  readonly traits: GpuTraits;
  readonly constants = true;
  readonly dispatches: RecordedDispatch[] = [];
  readonly temporaries: number[] = [];
  readonly spans: MemorySpan[] = [];
  /** The step being lowered. */
  step: PlanStep | undefined;
  readonly #slots = new Map<number, number>();
  readonly #firstTemporary: number;
  /** Temporaries that no step being lowered uses. */
  readonly #free: number[] = [];
  readonly #used: number[] = [];
  readonly #shaders = new Map<string, GpuShader>();
  readonly #words = new Uint32Array(MAX_WORDS);
  readonly #floats = new Float32Array(this.#words.buffer);
  readonly #signed = new Int32Array(this.#words.buffer);
  #dynamic: DynamicWord[] = [];
  #given = 0;

  constructor(traits: GpuTraits, firstTemporary: number, scalars: number) {
    this.traits = traits;
    this.#firstTemporary = firstTemporary;
    for (let slot = 0; slot < scalars; slot++) this.#slots.set(standIn(slot), slot);
  }

  /** The next parameter's place, where its value is to be written; −1 where it comes with each run. */
  #next(value: number, type: DynamicWord['type']): number {
    const word = this.#given++;
    if (word >= MAX_WORDS) throw new RangeError(`a dispatch takes at most ${MAX_WORDS} parameters`);
    const slot = value < -1e300 ? this.#slots.get(value) : undefined;
    if (slot === undefined) return word;
    this.#words[word] = 0;
    this.#dynamic.push({ word, slot, type });
    return -1;
  }

  u32(value: number): void {
    const word = this.#next(value, 'u32');
    if (word >= 0) this.#words[word] = toU32(value);
  }

  i32(value: number): void {
    const word = this.#next(value, 'i32');
    if (word >= 0) this.#signed[word] = toI32(value);
  }

  f32(value: number): void {
    const word = this.#next(value, 'f32');
    if (word >= 0) this.#floats[word] = value;
  }

  dispatch(shader: GpuShader, storages: readonly Storage[], x: number, y: number, z: number): void {
    const words = this.#words.slice(0, this.#given);
    const dynamic = this.#dynamic;
    this.#given = 0;
    this.#dynamic = [];
    if (x === 0 || y === 0 || z === 0) return;
    const sized = constantShader(shader, words, dynamic);
    const known = this.#shaders.get(sized.key) ?? sized;
    this.#shaders.set(sized.key, known);
    this.dispatches.push({
      shader: known,
      memories: shader.bindings.map((_, i) => (storages[i] as Storage).buffer),
      x,
      y,
      z,
      words,
      dynamic,
      step: this.step as PlanStep,
    });
  }

  span(storage: Storage, bytes: number): Storage {
    return memory(SPANS + this.spans.push({ of: storage.buffer, bytes }) - 1, bytes);
  }

  temporary(bytes: number): Storage {
    // The smallest free one that suffices, else the largest of all grows.
    let best = -1;
    const size = (i: number): number => this.temporaries[this.#free[i] as number] as number;
    for (let i = 0; i < this.#free.length; i++) {
      if (best < 0 || (size(best) < bytes ? size(i) > size(best) : size(i) >= bytes && size(i) < size(best)))
        best = i;
    }
    let number = best < 0 ? undefined : this.#free.splice(best, 1)[0];
    number ??= this.temporaries.push(0) - 1;
    this.temporaries[number] = Math.max(this.temporaries[number] as number, bytes);
    this.#used.push(number);
    return memory(this.#firstTemporary + number, bytes);
  }

  /** A step has been lowered: its temporaries may serve the next. */
  endStep(): void {
    this.#free.push(...this.#used.splice(0));
    this.#given = 0;
    this.#dynamic = [];
  }
}

/** Lowers a plan. */
export function recordPlan(plan: Plan, traits: GpuTraits): Recording {
  const memories = plan.inputs + plan.outputs + plan.slots.length + plan.constants.length;
  const sink = new ProgramSink(traits, memories, plan.scalars);
  const standIns = Array.from({ length: memories }, (_, i) => memory(i, 0));
  const operand = ({ place, dtype, shape }: PlanOperand): Operand => {
    // throws for float64, which a GPU has not
    wgslTypeOf(dtype);
    return { storage: standIns[memoryOf(plan, place)] as Storage, dtype, shape };
  };
  const calls: RecordedCall[] = [];
  let prologue = 0;
  let prologueCalls = 0;
  plan.steps.forEach((step, i) => {
    if (i === plan.prologue) {
      prologue = sink.dispatches.length;
      prologueCalls = calls.length;
    }
    if (draws(step.kernel)) {
      calls.push({ before: sink.dispatches.length, step });
      return;
    }
    sink.step = step;
    lowerKernel(
      sink,
      step.kernel,
      step.inputs.map(operand),
      step.outputs.map(operand),
      step.dims,
      step.scalars.map((s) => (typeof s === 'number' ? s : standIn(s.slot))),
    );
    sink.endStep();
  });
  if (plan.prologue >= plan.steps.length) {
    prologue = sink.dispatches.length;
    prologueCalls = calls.length;
  }
  const { temporaries, spans } = sink;
  const firstSpan = memories + temporaries.length;
  const dispatches = sink.dispatches.map((dispatch) => ({
    ...dispatch,
    memories: dispatch.memories.map((m) => (m < SPANS ? m : m - SPANS + firstSpan)),
  }));
  return { dispatches, calls, prologue, prologueCalls, temporaries, spans };
}
