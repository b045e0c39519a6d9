// Little-endian numbers read in order from bytes that nobody vouches for: every read is checked against the end, and every
// refusal says at which byte, what was expected there and what came.
import { FormatError } from '../core/errors.ts';

/** Reads numbers in order, refusing to pass the end of the file. */
export class Cursor {
  at = 0;
  readonly op: string;
  readonly bytes: Uint8Array;
  readonly #view: DataView;

  constructor(bytes: Uint8Array, op: string) {
    this.bytes = bytes;
    this.op = op;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get left(): number {
    return this.bytes.length - this.at;
  }

  /** Throws a `FormatError` about byte `at`, by default the one that would be read next. */
  fail(
    expected: string,
    received: string,
    advice = 'The file is damaged: fetch or save it again.',
    at = this.at,
  ): never {
    throw new FormatError(`expected ${expected} at byte ${at}, received ${received}. ${advice}`, {
      op: this.op,
    });
  }

  /** Steps over `count` bytes and gives the place where they began. */
  skip(count: number, what: string): number {
    if (count > this.left)
      this.fail(
        `${count} bytes of ${what}`,
        this.left === 0 ? 'the end of the file' : `the end of the file after ${this.left} of them`,
        'The file is cut short: fetch or save it again.',
      );
    const at = this.at;
    this.at += count;
    return at;
  }

  u32(what: string): number {
    return this.#view.getUint32(this.skip(4, what), true);
  }

  i32(what: string): number {
    return this.#view.getInt32(this.skip(4, what), true);
  }

  /** A u64 as a number, exact below 2^53 and too large for anything above. */
  u64(what: string): number {
    const at = this.skip(8, what);
    return this.#view.getUint32(at, true) + this.#view.getUint32(at + 4, true) * 2 ** 32;
  }

  /** An i64 as a number, exact within ±2^53. */
  i64(what: string): number {
    const at = this.skip(8, what);
    return this.#view.getUint32(at, true) + this.#view.getInt32(at + 4, true) * 2 ** 32;
  }
}
