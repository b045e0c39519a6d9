// Names of blocks: a counter for each kind, global or of the block whose name scope is open, whose prefix then stands in front.
import { ArgumentError } from '../core/errors.ts';
import { describe } from '../core/shape.ts';
import { ParameterDict } from './parameterDict.ts';

/** What a name scope gives to the blocks made in it. */
export interface NameScope {
  readonly prefix: string;
  readonly params: ParameterDict;
  readonly counters: Map<string, number>;
}

/** A block's names: the prefix of its parameters, and the dictionary that holds them. */
export interface Names {
  readonly prefix: string;
  readonly params: ParameterDict;
}

const globalCounters = new Map<string, number>();
let current: NameScope | null = null;

function next(counters: Map<string, number>, alias: string): string {
  const count = counters.get(alias) ?? 0;
  counters.set(alias, count + 1);
  return `${alias}${count}_`;
}

/**
 * Names a new block. As in Gluon: `prefix` is used as given (behind the open scope's), else the kind is counted; `params` of another block are
 * shared and bring their prefix along for the parameters.
 */
export function nameBlock(alias: string, prefix: unknown, params: unknown, op: string): Names {
  if (prefix !== undefined && prefix !== null && typeof prefix !== 'string')
    throw new ArgumentError(
      `expected prefix to be a string, received ${describe(prefix)}. Write { prefix: 'body_' }.`,
      {
        op,
      },
    );
  if (params !== undefined && params !== null && !(params instanceof ParameterDict))
    throw new ArgumentError(
      `expected params to be a block's params, received ${describe(params)}. Write { params: other.params }.`,
      { op },
    );
  const scope = current;
  const own = prefix ?? next(scope?.counters ?? globalCounters, alias);
  return {
    prefix: (scope?.prefix ?? '') + own,
    params:
      params instanceof ParameterDict
        ? new ParameterDict(params.prefix, params)
        : new ParameterDict((scope?.params.prefix ?? '') + own, scope?.params.shared),
  };
}

/** Opens a scope; the result closes it. A scope with an empty prefix changes nothing, so that its children are named as if outside. */
export function enterNames(scope: NameScope, emptyPrefix: boolean): () => void {
  if (emptyPrefix) return () => undefined;
  const before = current;
  current = scope;
  return () => {
    current = before;
  };
}
