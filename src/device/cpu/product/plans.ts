// The tables that tell compiled kernels where a product's elements lie (see kernels/product.ts), made by them and kept from call to call.
import type { Allocator } from '../allocator.ts';
import type { Heap } from '../heap.ts';
import type { Temporaries } from '../temporaries.ts';

/** Tables larger than this are made for one call; those kept are dropped together when they pass the second number. */
const MOST_TABLE_BYTES = 2 ** 21;
const MOST_KEPT_BYTES = 2 ** 23;
/** Tables lie together in chunks of this size, which stay theirs: one by one among the arrays they would leave holes that fit nothing. */
const CHUNK = 2 ** 18;

/** Elements of an index made of up to four nested ones: count and step in elements, from the slowest to the fastest. */
export type Nest = readonly (readonly [count: number, step: number])[];

/** Byte offsets of a table's entries, and how many. */
export interface Table {
  readonly at: number;
  readonly count: number;
}

/** One product's tables. */
export interface Plan {
  readonly aRows: Table;
  readonly aDepth: Table;
  readonly bDepth: Table;
  readonly bColumns: Table;
  readonly cRows: Table;
  readonly cColumns: Table;
}

export interface Shape {
  readonly aRows: Nest;
  readonly aDepth: Nest;
  readonly bDepth: Nest;
  readonly bDepthStart?: number;
  readonly bColumns: Nest;
  readonly cRows: Nest;
  readonly cColumns: Nest;
}

/** Where tables begin, in elements. */
export type Starts = { readonly [K in keyof Plan]?: number };

/** A product's tables once they are found, until all are dropped. */
export class PlanRef {
  plan: Plan | null = null;
  version = -1;
  readonly key: string;

  constructor(key: string) {
    this.key = key;
  }
}

const countOf = (nest: Nest): number => nest.reduce((n, [count]) => n * count, 1);

export class Plans {
  readonly #heap: Heap;
  readonly #allocator: Allocator;
  readonly #temporaries: Temporaries;
  readonly #plans = new Map<string, Plan>();
  /** The first is taken at the beginning, for above arrays it would cut the memory in two. */
  readonly #chunks: number[];
  /** Chunks in use, and where the next table lies in the last of them. */
  #used = 0;
  #next = CHUNK;
  /** Tables larger than a chunk. */
  readonly #large: { readonly at: number; readonly bytes: number }[] = [];
  #largeBytes = 0;
  /** Counts how often all tables were dropped. */
  #version = 0;

  constructor(heap: Heap, allocator: Allocator, temporaries: Temporaries) {
    this.#heap = heap;
    this.#allocator = allocator;
    this.#temporaries = temporaries;
    this.#chunks = [allocator.take(CHUNK, 'cpu')];
  }

  /** The tables that `ref` asks for, which are made where there are none yet. */
  find(ref: PlanRef, shape: () => readonly [Shape, Starts?]): Plan {
    if (ref.plan !== null && ref.version === this.#version) return ref.plan;
    const plan = this.#plans.get(ref.key) ?? this.#make(ref.key, ...shape());
    ref.plan = this.#plans.has(ref.key) ? plan : null;
    ref.version = this.#version;
    return plan;
  }

  /** Makes the tables of a product, and keeps them under `key` unless they are large. */
  #make(key: string, shape: Shape, starts: Starts = {}): Plan {
    const kernel = this.#heap.kernels.product;
    const names = ['aRows', 'aDepth', 'bDepth', 'bColumns', 'cRows', 'cColumns'] as const;
    const counts = names.map((name) => countOf(shape[name]));
    // a little more, for loads of four entries
    const bytes = counts.reduce((sum, n) => sum + n * 4, 64);
    const keep = bytes <= MOST_TABLE_BYTES;
    let at = keep ? this.#keep(Math.ceil(bytes / 16) * 16) : this.#temporaries.take(bytes);
    const tables = names.map((name, i): Table => {
      const count = counts[i] as number;
      const [n0, n1, n2, n3] = fourOf(shape[name]);
      const start = (name === 'bDepth' ? (shape.bDepthStart ?? 0) : 0) + (starts[name] ?? 0);
      kernel.offsets(at, start * 4, ...n0, ...n1, ...n2, ...n3);
      const table = { at, count };
      at += count * 4;
      return table;
    });
    const [aRows, aDepth, bDepth, bColumns, cRows, cColumns] = tables as [
      Table,
      Table,
      Table,
      Table,
      Table,
      Table,
    ];
    const plan = { aRows, aDepth, bDepth, bColumns, cRows, cColumns };
    if (keep) this.#plans.set(key, plan);
    return plan;
  }

  /** A place for tables that are kept. */
  #keep(bytes: number): number {
    const fits = bytes <= CHUNK - this.#next;
    if (!fits && this.#used * CHUNK + this.#largeBytes + Math.max(bytes, CHUNK) > MOST_KEPT_BYTES)
      this.#drop();
    if (bytes > CHUNK) {
      const at = this.#take(bytes);
      this.#large.push({ at, bytes });
      this.#largeBytes += bytes;
      return at;
    }
    if (bytes > CHUNK - this.#next) {
      if (this.#used === this.#chunks.length) this.#chunks.push(this.#take(CHUNK));
      this.#used++;
      this.#next = 0;
    }
    const at = (this.#chunks[this.#used - 1] as number) + this.#next;
    this.#next += bytes;
    return at;
  }

  #take(bytes: number): number {
    const at = this.#allocator.alloc(bytes);
    if (at >= 0) return at;
    this.#drop();
    for (const chunk of this.#chunks.splice(0)) this.#allocator.free(chunk, CHUNK);
    return this.#allocator.take(bytes, this.#temporaries.op);
  }

  #drop(): void {
    for (const { at, bytes } of this.#large.splice(0)) this.#allocator.free(at, bytes);
    this.#largeBytes = 0;
    this.#used = 0;
    this.#next = CHUNK;
    this.#version++;
    this.#plans.clear();
  }
}

type Level = readonly [count: number, step: number];

/** Four levels, in bytes. */
function fourOf(nest: Nest): [Level, Level, Level, Level] {
  const levels: Level[] = [...Array.from({ length: 4 - nest.length }, (): Level => [1, 0])];
  for (const [count, step] of nest) levels.push([count, step * 4]);
  return levels as [Level, Level, Level, Level];
}
