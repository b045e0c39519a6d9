// Readers of files come as lazy parts of the library. What a user has handed over may fail while such a part is on its way.

/** Keeps promises among `sources` (and lists of them) from ending the process, should they reject before their reader is there; the reader still sees the rejection. */
export function expectReader(...sources: readonly unknown[]): void {
  for (const source of sources.flat()) if (source instanceof Promise) source.catch(() => undefined);
}
