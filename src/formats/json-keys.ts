// The one thing JSON.parse does not tell: whether an object names a key twice (it keeps the last and says nothing).

/**
 * The first key that an object of `text` has twice, or undefined. `text` must be JSON that `JSON.parse` accepts; so a quote
 * always opens or closes a string, and a string is a key exactly where a colon follows it.
 */
export function repeatedKey(text: string): string | undefined {
  const open: Set<string>[] = [];
  const token = /"(?:[^"\\]|\\.)*"(\s*:)?|[{}]/g;
  for (let match = token.exec(text); match !== null; match = token.exec(text)) {
    const found = match[0];
    if (found === '{') open.push(new Set());
    else if (found === '}') open.pop();
    else if (match[1] !== undefined) {
      const key = String(JSON.parse(found.slice(0, -match[1].length)));
      const keys = open.at(-1);
      if (keys?.has(key)) return key;
      keys?.add(key);
    }
  }
  return undefined;
}
