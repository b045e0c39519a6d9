// What a block keeps beside its fields. A block is a closure, so its state hangs on it by a WeakMap: block.ts fills it, tree.ts and call.ts read it.
import { ArgumentError } from '../core/errors.ts';
import type { ProgramStats } from '../device/device.ts';
import type { NameScope, Names } from './naming.ts';
import type { Parameter } from './parameter.ts';
import type { ParameterDict } from './parameterDict.ts';

/** What the machinery behind blocks asks of one; `Block` in block.ts is the whole. */
export interface AnyBlock {
  forward(...inputs: never[]): unknown;
  inferShape(...inputs: never[]): void;
  /** @internal Stripped from the published types, here as on Block: what users pass has no such member there. */
  fileName(field: string): string;
}

/** A hook and whether the arrays it sees may be kept by it. */
export interface Hook<F> {
  readonly run: F;
  /** False for the library's own hooks, which look at shapes only. */
  readonly keeps: boolean;
}

/** Called before a block's forward. */
export type AnyPreHook = (block: AnyBlock, inputs: readonly unknown[]) => void;
/** Called after a block's forward. */
export type AnyHook = (block: AnyBlock, inputs: readonly unknown[], output: unknown) => void;

/** What `hybridize` was last told. */
export interface HybridFlags {
  readonly active: boolean;
  readonly staticAlloc: boolean;
  readonly fallback: boolean;
}

/** One program of a block, as `cacheInfo()` tells it. */
export interface CacheEntry {
  /** What calls it is for: `(2, 3) float32 on cpu(0), training, recording`. */
  readonly key: string;
  /** How many calls it has served. */
  readonly runs: number;
  /** What a forward costs. */
  readonly forward: ProgramStats;
  /** What a backward costs; null where none has been made. */
  readonly backward: ProgramStats | null;
}

/** What `cacheInfo()` tells of a block's compiled calls. */
export interface CacheInfo {
  /** Calls that a program served. */
  readonly hits: number;
  /** Calls for which there was none. */
  readonly misses: number;
  readonly entries: readonly CacheEntry[];
  /** Why the last miss was one, or why programs were given up; null before the first. */
  readonly why: string | null;
  /** Why calls run eagerly; null where they compile. */
  readonly eager: string | null;
}

/** A hybridized block's programs, as its calls use them; `Programs` in compiled/programs.ts is the whole. */
export interface CompiledCalls {
  /** Whether a program is there for a call of these inputs: `replay` runs it. */
  find(inputs: readonly unknown[]): boolean;
  /** Runs the program that `find` found. */
  replay(): unknown;
  /** A call for which none was found: runs `eager`, and makes a program for the next where that can be. */
  first(inputs: readonly unknown[], eager: () => unknown): unknown;
  /** What `cacheInfo()` tells. */
  info(): CacheInfo;
  dispose(): void;
}

/** A child added by `registerChild`, and how many children there were before. */
export interface ExplicitChild {
  readonly child: AnyBlock;
  readonly after: number;
}

export class BlockState {
  readonly block: AnyBlock;
  /** The class's name, which minifiers of the library leave alone. */
  readonly className: string;
  /** A layer of the library that computes by operations: their errors are its errors. */
  readonly leaf: boolean;
  /** A chain of children: summaries pass it over, its errors are its children's. */
  readonly isContainer: boolean;
  /** A class of the user's: arrays on its fields outlive a call. */
  readonly custom: boolean;
  prefix = '';
  name = '';
  /** Parameters made by `params.get` and those of fields. */
  params: ParameterDict | undefined;
  readonly counters = new Map<string, number>();
  readonly explicit = new Map<string, ExplicitChild>();
  /** The parameter that each field held when they were last looked at. */
  readonly fields = new Map<string, Parameter>();
  readonly preHooks: Hook<AnyPreHook>[] = [];
  readonly hooks: Hook<AnyHook>[] = [];
  hybrid: HybridFlags = NOT_HYBRID;
  /** Its programs, where it is hybridized. */
  compiled: CompiledCalls | null = null;
  /** Whether its forward is made of array operations (and of children) alone, by its class. */
  readonly compiles: boolean;
  /** How often `registerChild` was called. */
  registrations = 0;
  /** The count of deferrals at which no parameter of this block waited. */
  checked = -1;
  /** Its `inferShape` is being asked by the call path, not by the user. */
  inferring = false;
  /** The block that it ran in last; it and all `parents` were found to hold this block (or told that they do not). */
  parent: BlockState | undefined;
  readonly parents = new WeakSet<BlockState>();
  /** Names this block's call in the error of an array that it freed. */
  readonly label = (): string =>
    this.name === '' ? `the call of a ${this.className}` : `the call of ${this.name} (${this.className})`;

  constructor(block: AnyBlock, type: BlockClass) {
    this.block = block;
    this.className = classNameOf(type);
    this.custom = !Object.hasOwn(type, 'kind');
    this.leaf = !this.custom && type.role === 'layer';
    this.isContainer = type.role === 'container';
    this.compiles = compilesAs(type);
  }

  setNames(names: Names): void {
    this.prefix = names.prefix;
    this.name = names.prefix.replace(/_$/, '');
    this.params = names.params;
  }

  get scope(): NameScope {
    return { prefix: this.prefix, params: paramsOf(this), counters: this.counters };
  }
}

/** The static side of block classes: the library's own say their name and what they are. */
export interface BlockClass {
  readonly name: string;
  readonly kind?: string | undefined;
  readonly role?: BlockRole | undefined;
  /** Whether calls compile: those of a chain where its children's do and nobody has overridden its forward. */
  readonly compiles?: boolean | 'chain' | undefined;
  readonly prototype?: object | undefined;
}

const NOT_HYBRID: HybridFlags = { active: false, staticAlloc: false, fallback: false };

function compilesAs(type: BlockClass): boolean {
  if (type.compiles !== 'chain') return type.compiles === true;
  for (
    let at: BlockClass | null = type;
    at !== null && !Object.hasOwn(at, 'kind');
    at = Object.getPrototypeOf(at)
  )
    if (at.prototype !== undefined && Object.hasOwn(at.prototype, 'forward')) return false;
  return true;
}

/** A layer computes by operations, whose errors are its own; a container runs its children one after the other. */
export type BlockRole = 'block' | 'layer' | 'container';

/** A class's name; the library's classes carry theirs, so that a page's minifier cannot change what is printed. */
function classNameOf(type: BlockClass): string {
  return Object.hasOwn(type, 'kind') && type.kind !== undefined
    ? type.kind
    : type.name === ''
      ? 'Block'
      : type.name;
}

const states = new WeakMap<object, BlockState>();

export function addState(state: BlockState): void {
  states.set(state.block, state);
}

/** Whether a value is a block. */
export function isBlock(value: unknown): value is AnyBlock {
  return typeof value === 'function' && states.has(value);
}

export function stateOf(block: AnyBlock): BlockState {
  const state = states.get(block);
  if (state === undefined)
    throw new ArgumentError('expected a block, received something else. Make blocks with new.', {
      op: 'Block',
    });
  return state;
}

export function paramsOf(state: BlockState): ParameterDict {
  if (state.params === undefined) throw new Error('a block is named by its constructor');
  return state.params;
}
