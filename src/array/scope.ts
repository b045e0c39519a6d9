// Who frees what. Device memory is invisible to the garbage collector, so every array made inside a scope is freed at its end unless it escapes:
// the outermost call of a block is such a scope, `nd.scope` another. Arrays made outside any scope belong to the user, with a
// FinalizationRegistry as a net.

/** One open scope: what was made in it, and what may stay. */
export interface Scope {
  /** Named in the error when an array is used after this scope freed it. */
  readonly label: () => string;
  /** A call of the library: what is made inside is the library's, not the user's, until it escapes. */
  readonly library: boolean;
  readonly outer: Scope | null;
  /** NDArrays; as objects, since this file stands below them. */
  readonly made: object[];
}

let current: Scope | null = null;

export function currentScope(): Scope | null {
  return current;
}

export function openScope(label: () => string, library: boolean): Scope {
  current = { label, library, outer: current, made: [] };
  return current;
}

/** Closes the innermost scope and hands back what it holds; the caller decides what stays. */
export function leaveScope(scope: Scope): void {
  // a callback that threw may have left inner scopes open: they end with this one
  while (current !== null && current !== scope) {
    const inner: Scope = current;
    scope.made.push(...inner.made);
    current = inner.outer;
  }
  current = scope.outer;
}

/** Runs `fn` as if no scope were open: what it makes lives until it is disposed. For parameters, running state and the like. */
export function outsideScopes<R>(fn: () => R): R {
  const before = current;
  current = null;
  try {
    return fn();
  } finally {
    current = before;
  }
}
