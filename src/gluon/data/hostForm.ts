// Which transforms can work on a whole batch in host memory. The library's say so by a method of their own; a user's function, or a subclass with a forward of its own, is
// called sample by sample.
import type { HostArray } from '../../nd/image/host.ts';
import { type AnyBlock, isBlock, stateOf } from '../state.ts';
import type { Chance } from './chance.ts';

/** On transforms: gives their host form. */
export const HOST: unique symbol = Symbol('webgluon.host');

/** What `forward` does, for pictures (N, …) or one alone in host memory, into new memory; `chance(n)` draws for picture n. */
export type HostForm = (x: HostArray, chance: (place: number) => Chance) => HostArray;

/** A transform with a host form; undefined where it has none for what it holds (a Compose with a function of the user's in it). */
export interface HostTransform extends AnyBlock {
  [HOST](): HostForm | undefined;
}

/** The prototype that a method comes from. */
function ownerOf(object: object, name: PropertyKey): object | null {
  let at: object | null = object;
  while (at !== null && !Object.hasOwn(at, name)) at = Object.getPrototypeOf(at) as object | null;
  return at;
}

/** The host form of a transform of the library; undefined for anything else, for one with hooks, and for subclasses that changed what it computes. */
export function hostForm(fn: unknown): HostForm | undefined {
  if (!isBlock(fn) || !(HOST in fn)) return undefined;
  const state = stateOf(fn);
  if (state.hooks.length > 0 || state.preHooks.length > 0) return undefined;
  // whoever overrides forward is below the class that has the host form
  const [form, forward] = [ownerOf(fn, HOST), ownerOf(fn, 'forward')];
  if (form === null || forward === null) return undefined;
  if (form !== forward && !Object.prototype.isPrototypeOf.call(forward, form)) return undefined;
  return (fn as HostTransform)[HOST]();
}
