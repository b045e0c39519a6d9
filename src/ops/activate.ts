// `activation(x, kind)`: activation functions by name, as layers choose them.
import type { NDArray } from '../array/ndarray.ts';
import { gelu, logSigmoid, mish, relu, sigmoid, silu, softrelu, softsign } from './activation.ts';
import { readArgs, unknownName } from './args.ts';
import type { Unary } from './elementwise.ts';
import { tanh } from './unary.ts';

/** Kinds of `activation` and of layers' `activation` option. */
export type ActivationKind =
  | 'relu'
  | 'sigmoid'
  | 'tanh'
  | 'softrelu'
  | 'softsign'
  | 'logSigmoid'
  | 'mish'
  | 'gelu'
  | 'silu';

const KINDS: Readonly<Record<ActivationKind, Unary>> = {
  relu,
  sigmoid,
  tanh,
  softrelu,
  softsign,
  logSigmoid,
  mish,
  gelu,
  silu,
};

/** Checks the name of an activation; throws with the nearest that exists. */
export function checkActivation(op: string, kind: unknown): ActivationKind {
  if (typeof kind === 'string' && Object.hasOwn(KINDS, kind)) return kind as ActivationKind;
  throw unknownName(op, 'an activation, one of', kind, Object.keys(KINDS));
}

/** Applies an activation by name. @example nd.activation(x, 'relu') */
export function activation(x: NDArray, kind: ActivationKind | { readonly actType: ActivationKind }): NDArray {
  const { actType } = readArgs('activation', [kind], ['actType']);
  return KINDS[checkActivation('activation', actType)](x);
}
