// `hybridize()`: which blocks are to run compiled, and the place where they find the compiler. That is compiled/ with src/graph, a part of the library by itself: names such as
// `HybridSequential` and `compileStep` bring it along from the start. In a bundle that uses none of them it is loaded when a block asks for it, and until then calls run eagerly.
import { ArgumentError } from '../core/errors.ts';
import { booleanArg, readArgs } from '../ops/args.ts';
import type { LookInput } from './compiled/graphOf.ts';
import type { WarmupOptions, WarmupShape } from './compiled/warmup.ts';
import type { Step, UpdateItem } from './optimizer/step.ts';
import { type AnyBlock, type BlockState, type CacheInfo, type CompiledCalls, stateOf } from './state.ts';
import { walk } from './tree.ts';

/** What blocks ask of the compiler. */
export interface Compiler {
  /** A block's programs, of which there are none yet. */
  programsOf(state: BlockState): CompiledCalls;
  graphOf(block: AnyBlock, inputs: readonly LookInput[]): string;
  warmUp(state: BlockState, shapes: readonly WarmupShape[], options?: WarmupOptions): Promise<void>;
  /** Gives an optimizer's step that has been run to the recorder at hand. */
  recordStep(step: Step, updates: readonly UpdateItem[]): void;
}

/** Options of `hybridize`. */
export interface HybridizeOptions {
  /** False turns it off. */
  readonly active?: boolean | undefined;
  /** Keeps the memory of intermediate results between calls. */
  readonly staticAlloc?: boolean | undefined;
  /** Promises that shapes do not change from call to call. */
  readonly staticShape?: boolean | undefined;
  /** Runs a block whose forward reads values eagerly, and says so once, rather than throw. */
  readonly fallback?: boolean | undefined;
}

let compiler: Compiler | null = null;
let loading: Promise<Compiler | undefined> | undefined;
/** Blocks that shall run compiled as soon as the compiler is there. */
const waiting = new Set<BlockState>();

/** Puts the compiler in its place; its own module does so when it is run. */
export function provide(given: Compiler): void {
  compiler = given;
  for (const state of waiting) if (state.hybrid.active) state.compiled = given.programsOf(state);
  waiting.clear();
}

/** The compiler where it is there: a call that is being recorded is recorded by it. */
export function compilerAtHand(): Compiler | null {
  return compiler;
}

/** The compiler; loads it where it is not there. Undefined, and a warning, where that fails: what asks next tries again. */
function load(): Promise<Compiler | undefined> {
  loading ??= import('./compiled/lateCompiler.ts').then(
    (loaded) => {
      provide(loaded.compiler);
      return loaded.compiler;
    },
    (error: unknown) => {
      loading = undefined;
      waiting.clear();
      console.warn(`[hybridize] expected to load the compiler, received ${error}. Calls run eagerly.`);
      return undefined;
    },
  );
  return loading;
}

/** Notes on a block and all below it how they are to run from now on; programs that are there go. */
export function hybridize(
  root: BlockState,
  active: boolean | HybridizeOptions | undefined,
  options: HybridizeOptions | undefined,
): void {
  const op = `${root.className}.hybridize`;
  const values = readArgs(op, [active, options], ['active'], ['staticAlloc', 'staticShape', 'fallback']);
  const flag = (name: string): boolean => booleanArg(op, values, name, name === 'active');
  flag('staticShape');
  const flags = { active: flag('active'), staticAlloc: flag('staticAlloc'), fallback: flag('fallback') };
  walk(root.block, (block) => {
    const state = stateOf(block);
    state.hybrid = flags;
    state.compiled?.dispose();
    state.compiled = null;
    if (!flags.active) return;
    if (compiler === null) waiting.add(state);
    else state.compiled = compiler.programsOf(state);
  });
  if (waiting.size > 0) void load();
}

/** Makes the programs of a net for inputs of these shapes. */
export async function warmUp(
  state: BlockState,
  shapes: readonly WarmupShape[],
  options?: WarmupOptions,
): Promise<void> {
  await (compiler ?? (await load()))?.warmUp(state, shapes, options);
}

/** What one call of a block does, as text. */
export function graphOf(block: AnyBlock, inputs: readonly LookInput[]): string {
  if (compiler !== null) return compiler.graphOf(block, inputs);
  throw new ArgumentError(
    'expected the compiler, received a bundle that has not loaded it yet. Call net.hybridize() and await net.warmup(shapes) first.',
    { op: `${stateOf(block).className}.graph` },
  );
}

/** What `cacheInfo()` tells of a block. */
export function cacheInfoOf({ compiled, hybrid }: BlockState): CacheInfo {
  const eager = hybrid.active ? 'the compiler is being loaded' : 'hybridize() was not called';
  return compiled?.info() ?? { hits: 0, misses: 0, entries: [], why: null, eager };
}
