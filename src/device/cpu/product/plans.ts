// The tables that tell compiled kernels where a product's elements lie (see kernels/product.ts), made by them and kept from call to call.
import { OutOfMemoryError } from '../../../core/errors.ts';
import type { Allocator } from '../allocator.ts';
import type { Heap } from '../heap.ts';
import type { Temporaries } from '../temporaries.ts';

/** Tables larger than this are made for one call; those kept are dropped together when they pass the second number. */
const MOST_TABLE_BYTES = 2 ** 21;
const MOST_KEPT_BYTES = 2 ** 23;

/** Elements of an index made of up to four nested ones: count and step in elements, from the slowest to the fastest. */
export type Nest = readonly (readonly [count: number, step: number])[];

/** Byte offsets of a table's entries, and how many. */
interface Table {
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
  readonly #kept: { readonly at: number; readonly bytes: number }[] = [];
  #keptBytes = 0;
  /** Counts how often all tables were dropped. */
  #version = 0;

  constructor(heap: Heap, allocator: Allocator, temporaries: Temporaries) {
    this.#heap = heap;
    this.#allocator = allocator;
    this.#temporaries = temporaries;
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
    const kernel = this.#heap.kernels?.product;
    if (kernel === undefined) throw new Error('tables are made by compiled kernels');
    const names = ['aRows', 'aDepth', 'bDepth', 'bColumns', 'cRows', 'cColumns'] as const;
    const counts = names.map((name) => countOf(shape[name]));
    // a little more, for loads of four entries
    const bytes = counts.reduce((sum, n) => sum + n * 4, 64);
    const keep = bytes <= MOST_TABLE_BYTES;
    if (keep && this.#keptBytes + bytes > MOST_KEPT_BYTES) this.#drop();
    let at = keep ? this.#take(bytes) : this.#temporaries.take(bytes);
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

  #take(bytes: number): number {
    let at = this.#allocator.alloc(bytes);
    if (at < 0 && this.#kept.length > 0) {
      this.#drop();
      at = this.#allocator.alloc(bytes);
    }
    if (at < 0)
      throw new OutOfMemoryError(
        `expected ${bytes} bytes of working memory, received none. Free some arrays.`,
        {
          op: this.#temporaries.op,
        },
      );
    this.#kept.push({ at, bytes });
    this.#keptBytes += bytes;
    return at;
  }

  #drop(): void {
    for (const { at, bytes } of this.#kept) this.#allocator.free(at, bytes);
    this.#kept.length = 0;
    this.#keptBytes = 0;
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
