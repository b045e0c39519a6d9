// What became of each batch. WebGPU tells of failures late and of a whole submit at once; here they find the storages whose contents they
// spoiled, so that a read of one rejects and never gives zeros. An error scope of each kind stands around a batch's recording and submit.
import { debugState } from '../../core/debug.ts';
import { GluonError, OutOfMemoryError } from '../../core/errors.ts';
import { shapeText } from '../../core/shape.ts';
import type { Kernel, Operand } from '../../ir/kernel.ts';
import type { GpuStorage } from './storage.ts';

/** The work of one submit: what ran, and which storages it made or changed. */
export class Batch {
  readonly number: number;
  readonly #touched: GpuStorage[] = [];
  /** For each touched storage: by the host (allocated or written), not by recorded work. */
  readonly #byHost: boolean[] = [];
  /** For each touched storage the call that did it, as an index into `#names`. */
  readonly #callOf: number[] = [];
  readonly #names: string[] = [];
  /** Input shapes of all calls, one after the other; those of call i begin at `#shapesFrom[i]`. */
  readonly #shapes: (readonly number[])[] = [];
  readonly #shapesFrom: number[] = [];

  /** Set when the submit failed: nothing recorded in it was done, its reads' copies neither. */
  failure: GluonError | undefined;

  constructor(number: number) {
    this.number = number;
  }

  /** The calls that follow `touch` belong to this kernel. */
  call(kernel: Kernel, inputs: readonly Operand[], outputs: readonly Operand[]): void {
    this.#names.push(debugState.site === '' ? kernel.name : `${kernel.name} ${debugState.site}`);
    this.#shapesFrom.push(this.#shapes.length);
    const from = inputs.length > 0 ? inputs : outputs;
    for (let i = 0; i < from.length; i++) this.#shapes.push((from[i] as Operand).shape);
  }

  /** A call that is no kernel: an allocation, a write, a copy. */
  note(op: string): void {
    this.#names.push(op);
    this.#shapesFrom.push(this.#shapes.length);
  }

  touch(storage: GpuStorage, byHost = false): void {
    this.#touched.push(storage);
    this.#byHost.push(byHost);
    this.#callOf.push(this.#names.length - 1);
  }

  /** Poisons what the batch touched, or only what recorded work touched. */
  spoil(hostToo: boolean, error: (op: string, shapes: string) => GluonError): void {
    // Backwards, so that the last call to touch a storage is named.
    for (let i = this.#touched.length - 1; i >= 0; i--) {
      const storage = this.#touched[i] as GpuStorage;
      if (storage.poison !== null || (this.#byHost[i] === true && !hostToo)) continue;
      const { op, shapes } = this.describe(i);
      storage.spoil({ batch: this.number, error: error(op, shapes) });
    }
  }

  /** The buffers that were made during the batch may be none. */
  breakBuffers(): void {
    for (const { pooled } of this.#touched) if (pooled.madeIn === this.number) pooled.broken = true;
  }

  /** The first call of recorded work, or the first of all. */
  get first(): { readonly op: string; readonly shapes: string } {
    return this.describe(Math.max(this.#byHost.indexOf(false), 0));
  }

  /** The call that last touched a storage: its name, and the shapes it had. */
  describe(index: number): { readonly op: string; readonly shapes: string } {
    const call = this.#callOf[index] ?? 0;
    const from = this.#shapesFrom[call] ?? 0;
    const shapes = this.#shapes.slice(from, this.#shapesFrom[call + 1] ?? this.#shapes.length);
    return { op: this.#names[call] ?? 'gpu', shapes: shapes.map(shapeText).join(', ') };
  }
}

const KINDS = ['validation', 'out-of-memory', 'internal'] as const;

function failureOf(kind: (typeof KINDS)[number], message: string, op: string, shapes: string): GluonError {
  const on = shapes === '' ? '' : ` on ${shapes}`;
  if (kind === 'out-of-memory')
    return new OutOfMemoryError(
      `expected memory on the GPU for this${on}, received "${message}". Free arrays, or work in smaller pieces.`,
      { op },
    );
  return new GluonError(
    `expected the GPU to do this${on}, received ${kind === 'validation' ? 'a refusal' : 'a failure'}: "${message}". Please report it, with the adapter's name.`,
    { op },
  );
}

export class FailureWatch {
  readonly #device: GPUDevice;
  /** Batches whose outcome is not known, oldest first. */
  readonly #unknown: Batch[] = [];
  #chain: Promise<void> = Promise.resolve();
  #unreported: GluonError | undefined;
  /** Whether any storage may be poisoned: dispatches then pass poison on. */
  any = false;
  /** Called when memory ran out. */
  onOutOfMemory: (() => void) | undefined;

  constructor(device: GPUDevice) {
    this.#device = device;
  }

  begin(): void {
    for (const kind of KINDS) this.#device.pushErrorScope(kind);
  }

  /** The batch has been submitted; `current` is the batch that is recorded next. */
  end(batch: Batch): void {
    this.#unknown.push(batch);
    let known = this.#chain;
    // Scopes are a stack: the last kind pushed is popped first.
    for (let k = KINDS.length - 1; k >= 0; k--) {
      const kind = KINDS[k] as (typeof KINDS)[number];
      const answer = this.#device.popErrorScope().then(
        (error) => {
          if (error !== null) this.#failed(batch, kind, error.message);
        },
        () => undefined, // the device is gone: reads reject by themselves
      );
      known = known.then(() => answer);
    }
    this.#chain = known.then(() => {
      this.#unknown.shift();
    });
  }

  /** Resolves when the outcome of all batches ended so far is known. */
  get settled(): Promise<void> {
    return this.#chain;
  }

  /** The first failure since the last call. */
  takeUnreported(): GluonError | undefined {
    const error = this.#unreported;
    this.#unreported = undefined;
    return error;
  }

  /** What is being recorded now, for `#failed`; the device sets it. */
  current: Batch | undefined;

  #failed(batch: Batch, kind: (typeof KINDS)[number], message: string): void {
    this.any = true;
    // Later batches may have read what this one left undone; whatever they made is doubtful as well.
    const spoiled = this.#unknown.filter((other) => other.number >= batch.number);
    if (this.current !== undefined) spoiled.push(this.current);
    const error = (op: string, shapes: string): GluonError => failureOf(kind, message, op, shapes);
    for (const one of spoiled) one.spoil(kind === 'out-of-memory', error);
    if (kind === 'out-of-memory') batch.breakBuffers();
    const { op, shapes } = batch.first;
    batch.failure ??= error(op, shapes);
    this.#unreported ??= batch.failure;
    if (kind === 'out-of-memory') this.onOutOfMemory?.();
  }
}
