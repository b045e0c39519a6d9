// Working memory of the expression engine, inside the heap so that its loops see operands and intermediates alike: cells for scalars,
// registers for blocks of elements.
import type { Allocator } from './allocator.ts';
import type { Loops } from './loops/tables.ts';

/** Elements of a block: intermediates of a few registers stay in the first-level cache. */
export const BLOCK = 1024;
/** Bytes from register to register; the odd 64 keep equal places of two registers off each other's cache sets. */
const REGISTER_BYTES = BLOCK * 8 + 64;
const CELL_BYTES = 8;

/** Counts what programs that run together need. `kept` registers live through a run, `temps` only between two steps. */
export class Layout {
  cells = 0;
  kept = 0;
  temps = 0;
}

export class Scratch {
  readonly #allocator: Allocator;
  /** The loops that run over the heap this lies in; others once the heap has moved. */
  loops: Loops;
  #at = 0;
  #bytes = 0;
  #cells = 0;
  #registers = 0;
  /** Changes whenever cells and registers have moved. */
  version = 0;

  constructor(allocator: Allocator, loops: Loops) {
    this.#allocator = allocator;
    this.loops = loops;
    this.ensure(256, 24);
  }

  /** Makes room; contents are lost where it has to move. */
  ensure(cells: number, registers: number): void {
    if (cells <= this.#cells && registers <= this.#registers) return;
    const moreCells = Math.max(Math.ceil(cells / 8) * 8, this.#cells);
    const moreRegisters = Math.max(registers, this.#registers);
    const bytes = moreCells * CELL_BYTES + moreRegisters * REGISTER_BYTES;
    const at = this.#allocator.take(bytes, 'cpu');
    if (this.#bytes > 0) this.#allocator.free(this.#at, this.#bytes);
    this.#at = at;
    this.#bytes = bytes;
    this.#cells = moreCells;
    this.#registers = moreRegisters;
    this.version++;
  }

  /** Bytes taken from the allocator. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The byte offset of a cell. */
  cell(index: number): number {
    return this.#at + index * CELL_BYTES;
  }

  /** The byte offset of a register. */
  register(index: number): number {
    return this.#at + this.#cells * CELL_BYTES + index * REGISTER_BYTES;
  }
}
