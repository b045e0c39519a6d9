// What costs time and is therefore off unless asked for.

/** State of the debug modes; `nd/debug.ts` sets it. */
export const debugState: {
  /** Whether each call of an operation notes where it stands in the user's code. */
  callSites: boolean;
  /** Where the operation at hand was called, while `callSites` is on. */
  site: string;
} = { callSites: false, site: '' };

/** The first place on the stack that is not the library's own: `at train (train.js:12:9)`. */
export function callSiteOf(stack: string | undefined, isOwn: (line: string) => boolean): string {
  const lines = (stack ?? '').split('\n').filter((line) => /:\d+:\d+\)?$/.test(line));
  return (lines.find((line) => !isOwn(line)) ?? lines[lines.length - 1] ?? '').trim();
}
