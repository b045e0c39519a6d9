// What a hybridized block keeps from call to call: programs by the form of the inputs and the mode, whether they still fit, and why one was made or not. The programs
// themselves are graph/cached.ts's.
import { arraysIn, bodyOf, isKept, type NDArray } from '../../array/ndarray.ts';
import { currentScope } from '../../array/scope.ts';
import { isRecording, isTraining } from '../../autograd/mode.ts';
import { type Context, currentContext } from '../../core/context.ts';
import { GluonError } from '../../core/errors.ts';
import { CachedCall, type CachedOptions } from '../../graph/cached.ts';
import type { StandIns } from '../../graph/standIn.ts';
import { Recorder } from '../../graph/trace.ts';
import { slots } from '../../ops/invoke.ts';
import { internals } from '../parameter.ts';
import type { BlockState, CacheInfo, CompiledCalls } from '../state.ts';
import { type Layout, layoutOf, layoutText, matches, rebuild } from './layout.ts';
import { Snapshot } from './snapshot.ts';

/** As many forms of input are remembered; then the one that has rested longest goes. */
const MOST_ENTRIES = 128;

/** As many programs in a row are made for nothing; then the block runs eagerly. */
const MOST_WASTED = 4;

interface Entry {
  readonly input: Layout;
  readonly training: boolean;
  readonly recording: boolean;
  readonly context: Context;
  readonly output: Layout;
  readonly call: CachedCall;
  readonly key: string;
  runs: number;
}

let warming: StandIns | null = null;

/** Runs `fn` on stand-ins: hybridized blocks that it calls make their programs, and nothing is computed. */
export function warm<R>(standIns: StandIns, fn: () => R): R {
  warming = standIns;
  try {
    return standIns.run(fn);
  } finally {
    warming = null;
  }
}

export class Programs implements CompiledCalls {
  readonly #state: BlockState;
  #snapshot: Snapshot | null = null;
  /** The one used last first. */
  readonly #entries: Entry[] = [];
  #hits = 0;
  #misses = 0;
  #why: string | null = null;
  /** Why programs were given up since the last miss. */
  #given: string | null = null;
  /** Why nothing compiles, found out by a call. */
  #refused: string | null = null;
  /** How often in a row the tree changed before any of its programs had run. */
  #wasted = 0;
  /** The arrays of the call at hand. */
  readonly #arrays: NDArray[] = [];

  constructor(state: BlockState) {
    this.#state = state;
  }

  find(inputs: readonly unknown[]): boolean {
    if (this.#snapshot === null || this.#entries.length === 0 || slots.debug !== null) return false;
    const changed = this.#snapshot.changed();
    if (changed !== null) this.#look(changed);
    if (this.#snapshot.hooked() !== null) return false;
    const [entries, arrays] = [this.#entries, this.#arrays];
    const training = isTraining();
    const recording = isRecording();
    const context = currentContext();
    for (let i = 0; i < entries.length; i++) {
      const entry = entries[i] as Entry;
      arrays.length = 0;
      if (entry.training !== training || entry.recording !== recording || entry.context !== context) continue;
      if (!matches(entry.input, inputs, arrays) || !entry.call.fits(arrays)) continue;
      if (i > 0) {
        entries.splice(i, 1);
        entries.unshift(entry);
      }
      return true;
    }
    arrays.length = 0;
    return false;
  }

  replay(): unknown {
    const entry = this.#entries[0] as Entry;
    const arrays = this.#arrays;
    try {
      const results = entry.call.run(arrays);
      entry.runs++;
      this.#hits++;
      return entry.output.kind === 'array' ? results[0] : rebuild(entry.output, results);
    } finally {
      arrays.length = 0;
    }
  }

  first(inputs: readonly unknown[], eager: () => unknown): unknown {
    this.#drop(({ call }) =>
      call.outlived ? 'parameters were given other arrays: initialized anew, cast or moved' : null,
    );
    const reason = this.#reason();
    if (warming === null) {
      this.#misses++;
      this.#why = reason ?? this.#given;
      this.#given = null;
    }
    return reason === null ? this.#record(inputs, eager) : eager();
  }

  /** Resolves when no program has anything left to compile; `done` is called for each. */
  async ready(done: () => void): Promise<void> {
    await Promise.all(this.#entries.map(({ call }) => call.ready.then(done)));
  }

  get size(): number {
    return this.#entries.length;
  }

  /** Why a call would run eagerly now; brings what is known of the tree up to date. */
  #reason(): string | null {
    const snapshot = this.#snapshot;
    const changed = snapshot === null ? null : snapshot.changed();
    if (snapshot === null || changed !== null) this.#look(changed);
    const { eager } = this.#snapshot as Snapshot;
    if (eager !== null) return eager;
    if (this.#refused !== null) return this.#refused;
    const hooked = this.#snapshot?.hooked() ?? null;
    if (hooked !== null)
      return `${hooked} has hooks, which see what a program does not make. Detach them, or register them on the outermost block`;
    return slots.debug === null ? null : 'debug() is on, which watches single operations';
  }

  /** Looks at the tree anew. */
  #look(changed: string | null): void {
    const [before, now] = [this.#snapshot, new Snapshot(this.#state)];
    this.#snapshot = now;
    // what runs eagerly may do with arrays on its fields what it likes
    if (before === null || changed === null || now.sameTree(before, this.#refused === null)) return;
    if (this.#wasted >= MOST_WASTED) return;
    if (this.#entries.length > 0)
      this.#wasted = this.#entries.some(({ runs }) => runs > 0) ? 0 : this.#wasted + 1;
    this.#refused = null;
    this.#drop(() => changed);
    if (this.#wasted >= MOST_WASTED)
      this.#refuse(
        `${changed} before every call. Give what changes as an argument, or call hybridize() when it stays`,
      );
  }

  /** Gives up the entries that `why` names a reason for. */
  #drop(why: (entry: Entry) => string | null): void {
    const { length } = this.#entries;
    let kept = 0;
    for (let i = 0; i < length; i++) {
      const entry = this.#entries[i] as Entry;
      const reason = why(entry);
      if (reason === null) this.#entries[kept++] = entry;
      else {
        this.#given = reason;
        entry.call.dispose();
      }
    }
    this.#entries.length = kept;
  }

  /** Runs a call and makes a program of it; null where none can be made. In stand-ins nothing is computed. */
  #record(inputs: readonly unknown[], eager: () => unknown): unknown {
    const { className, name, hybrid } = this.#state;
    const args: NDArray[] = [];
    const input = layoutOf(inputs, args);
    const why =
      typeof input === 'string'
        ? `an input is ${input}: what is no array, number, text or list of such tells no program apart`
        : this.#sharing(args);
    if (typeof input === 'string' || why !== null) {
      this.#why = why;
      return eager();
    }
    const [training, recording, context] = [isTraining(), isRecording(), currentContext()];
    const where = args[0]?.context ?? this.#home() ?? context;
    const mode = `${training ? 'training' : 'inference'}${recording ? ', recording' : ''}`;
    const key = `${(input.kind === 'parts' ? input.items : [input]).map(layoutText).join(', ')} on ${where}, ${mode}`;
    const made = currentScope()?.made;
    const from = made?.length ?? 0;
    let read: string | null = null;
    const recorder = new Recorder({
      name: name === '' ? className : name,
      context: where,
      args,
      standIns: warming ?? undefined,
      advice:
        'Read what the call returns, after it; or call hybridize({ fallback: true }), with which such a block runs eagerly.',
      onRead: hybrid.fallback
        ? (op) => {
            read = op;
          }
        : undefined,
    });
    const output = recorder.run(eager);
    const results: NDArray[] = [];
    const form = layoutOf(output, results);
    // the call may have made children and parameters
    this.#snapshot = new Snapshot(this.#state);
    const refused =
      read !== null
        ? `${read} reads values inside forward`
        : typeof form === 'string'
          ? `forward returns ${form}, which cannot be made again`
          : this.#storing(new Set(made?.slice(from)), new Set(results));
    if (refused !== null || typeof form === 'string') {
      this.#refuse(refused ?? '');
      return output;
    }
    const options = { args, results, recording, training, staticAlloc: hybrid.staticAlloc };
    const call = this.#compile(recorder, options);
    if (typeof call === 'string') {
      this.#refuse(call);
      return output;
    }
    const alike = this.#entries.filter((entry) => entry.key === key);
    if (warming === null)
      this.#why ??=
        alike.length > 0 ? 'other arrays are on the tape than before' : `the first call with ${key}`;
    else if (alike.some((entry) => entry.call.wantsAs(call))) {
      call.dispose();
      return output;
    }
    this.#entries.unshift({ input, training, recording, context, output: form, call, key, runs: 0 });
    for (const old of this.#entries.splice(MOST_ENTRIES)) old.call.dispose();
    return output;
  }

  /** The programs of a recorded call; why there are none, where the call is one that cannot be compiled, though it ran. */
  #compile(recorder: Recorder, options: CachedOptions): CachedCall | string {
    try {
      const trace = recorder.finish(options.results);
      return CachedCall.refusal(trace) ?? new CachedCall(trace, options);
    } catch (error) {
      if (!(error instanceof GluonError)) throw error;
      return `compiling it failed: ${error.message.replace(/\.$/, '')}`;
    }
  }

  /** Where the parameters are. */
  #home(): Context | undefined {
    for (const parameter of this.#snapshot?.parameters ?? []) {
      const contexts = internals.contextsOf(parameter);
      if (contexts !== undefined) return contexts[0];
    }
    return undefined;
  }

  #refuse(why: string): void {
    this.#why = why;
    this.#refused = why;
    console.warn(
      `[${this.#state.name}] expected a forward that can be compiled, received one that cannot: ${why}. It runs eagerly from now on.`,
    );
  }

  /** Two arguments, or an argument and a parameter, with one memory: what the trace takes for one value would be two at another call. */
  #sharing(args: readonly NDArray[]): string | null {
    const seen = new Set<object>();
    for (const arg of args) {
      const { storage } = bodyOf(arg, this.#state.name);
      if (seen.has(storage)) return 'two inputs share memory';
      seen.add(storage);
    }
    const own = (array: NDArray): boolean =>
      !array.isDisposed && seen.has(bodyOf(array, this.#state.name).storage);
    for (const parameter of this.#snapshot?.parameters ?? [])
      if (internals.arraysOf(parameter).some(own)) return `an input shares the memory of ${parameter.name}`;
    for (const { custom, block, name } of this.#snapshot?.states ?? [])
      if (custom)
        for (const [field, value] of Object.entries(block))
          if ([...arraysIn(value)].some(own)) return `an input shares the memory of ${name}.${field}`;
    return null;
  }

  /** Whether the call left arrays behind, which a replay would not. */
  #storing(made: ReadonlySet<object>, results: ReadonlySet<NDArray>): string | null {
    for (const array of made)
      if (isKept(array as NDArray)) return 'forward calls nd.keep, and a replay would not make what it keeps';
    for (const { custom, block, name } of this.#snapshot?.states ?? []) {
      if (!custom) continue;
      for (const [field, value] of Object.entries(block))
        for (const array of arraysIn(value))
          if (made.has(array) || results.has(array))
            return `${name} stores an array in its field ${field}, and a replay would not. Return it instead`;
    }
    return null;
  }

  /** What `cacheInfo()` tells. */
  info(): CacheInfo {
    return {
      hits: this.#hits,
      misses: this.#misses,
      entries: this.#entries.map(({ key, runs, call }) => ({
        key,
        runs,
        forward: call.stats,
        backward: call.backwardStats,
      })),
      why: this.#given ?? this.#why,
      eager: this.#reason(),
    };
  }

  dispose(): void {
    this.#drop(() => 'hybridize() was called, or dispose()');
  }
}
