// What somebody else's error says, for errors of ours.
import { describe } from '../core/shape.ts';

/** An error in a few words, with what is behind it: Node's fetch hides the reason in the cause. */
export function why(error: unknown): string {
  if (!(error instanceof Error)) return describe(error);
  const text = error.message === '' ? error.name : error.message;
  const cause = error.cause;
  // where every address of a name was tried, only the code says why
  const code = typeof cause === 'object' && cause !== null && 'code' in cause ? String(cause.code) : '';
  const reason = cause instanceof Error && cause.message !== '' ? cause.message : code;
  const behind = reason === '' ? '' : ` (${reason})`;
  return `${error.name === 'Error' ? 'an error' : error.name}: ${text}${behind}`.replace(/\.$/, '');
}
