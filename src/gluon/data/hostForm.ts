// Which transforms can work on a whole batch in host memory. The library's say so by a method of their own; a user's function, or a subclass with a forward of its own, is
// called sample by sample.
import { type AnyBlock, stateOf } from '../state.ts';
import type { HostForm } from './batch.ts';

/** The host form of a transform, unless hooks change what it computes, or a forward other than the one it is the form of. */
export function unlessChanged(
  transform: AnyBlock,
  { forward }: AnyBlock,
  form: HostForm,
): HostForm | undefined {
  const { hooks, preHooks } = stateOf(transform);
  return hooks.length + preHooks.length === 0 && transform.forward === forward ? form : undefined;
}
