// What is made of kernels once: kept with each of them, and, for others that say the same, by their key.
/** Kept for other kernels of the same key; those of numbers baked in by the thousand must not pile up. */
const MOST_COMPILED = 1000;

export class Made<K extends { readonly key: string }, T extends object> {
  readonly #make: (kernel: K) => T;
  readonly #own = new WeakMap<K, T>();
  readonly #byKey = new Map<string, T>();

  constructor(make: (kernel: K) => T) {
    this.#make = make;
  }

  of(kernel: K): T {
    return this.#own.get(kernel) ?? this.#find(kernel);
  }

  #find(kernel: K): T {
    let made = this.#byKey.get(kernel.key);
    if (this.#byKey.size > MOST_COMPILED) this.#byKey.clear();
    if (made === undefined) {
      made = this.#make(kernel);
      this.#byKey.set(kernel.key, made);
    }
    this.#own.set(kernel, made);
    return made;
  }
}
