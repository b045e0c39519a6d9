// Initialisers by the names that Gluon's users write: `initialize('xavier')`, `weightInitializer: 'normal'`.
import { unknownName } from '../ops/args.ts';
import {
  Bilinear,
  Initializer,
  LSTMBias,
  MSRAPrelu,
  Normal,
  One,
  Orthogonal,
  Uniform,
  Xavier,
  Zero,
} from './init.ts';

/** An initializer, or the name of one with its default options. */
export type InitializerLike = Initializer | InitializerName;

/** Names of initializers; their case does not matter. */
export type InitializerName = keyof typeof BY_NAME | (string & Record<never, never>);

const BY_NAME = {
  zeros: () => new Zero(),
  zero: () => new Zero(),
  ones: () => new One(),
  one: () => new One(),
  uniform: () => new Uniform(),
  normal: () => new Normal(),
  xavier: () => new Xavier(),
  msraprelu: () => new MSRAPrelu(),
  orthogonal: () => new Orthogonal(),
  bilinear: () => new Bilinear(),
  lstmbias: () => new LSTMBias(),
} as const;

/** The initializer itself, or the one of that name. */
export function toInitializer(value: unknown, op: string): Initializer {
  if (value instanceof Initializer) return value;
  if (typeof value === 'string') {
    const key = value.toLowerCase();
    if (Object.hasOwn(BY_NAME, key)) return BY_NAME[key as keyof typeof BY_NAME]();
  }
  throw unknownName(
    op,
    'an initializer or its name, one of',
    value,
    Object.keys(BY_NAME),
    "Write initialize('xavier') or new init.Xavier().",
  );
}
