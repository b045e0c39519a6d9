// Cuts a WGSL file into its functions (and module variables), so that a shader carries those it uses and no more: a shorter text compiles
// faster.
import source from '../../../shaders/math.wgsl?raw';

interface Piece {
  readonly text: string;
  /** Names of the same library that this piece mentions. */
  readonly uses: readonly string[];
}

/** The text of WGSL without comments and empty lines. */
function stripWgsl(text: string): string {
  return text
    .replace(/\/\/[^\n]*/g, '')
    .replace(/[ \t]+$/gm, '')
    .replace(/\n{2,}/g, '\n')
    .trim();
}

function split(text: string): Map<string, Piece> {
  const found = new Map<string, string>();
  // declarations begin after the end of another, on one line or on many: the built library's text is shortened
  for (const part of stripWgsl(text).split(/(?<=^|[;}\n])\s*(?=fn |var<)/)) {
    const name = /^(?:fn|var<\w+>)\s*(\w+)/.exec(part)?.[1];
    if (name !== undefined) found.set(name, part.trim());
  }
  const result = new Map<string, Piece>();
  for (const [name, piece] of found) {
    const uses = new Set<string>();
    for (const [word] of piece.matchAll(/\b[a-z]\w*/g)) if (word !== name && found.has(word)) uses.add(word);
    result.set(name, { text: piece, uses: [...uses] });
  }
  return result;
}

/** A library of WGSL functions: given a shader's text, the functions it mentions with those that they need; but for those that `defined` has. */
export function wgslLibrary(librarySource: string): (text: string, defined?: string) => string {
  let pieces: Map<string, Piece> | undefined;
  return (text, defined = '') => {
    pieces ??= split(librarySource);
    const library = pieces;
    const wanted = new Set<string>();
    const there = new Set([...defined.matchAll(/\bfn (\w+)/g)].map(([, name]) => name));
    const add = (name: string): void => {
      const piece = library.get(name);
      if (piece === undefined || wanted.has(name) || there.has(name)) return;
      for (const used of piece.uses) add(used);
      wanted.add(name);
    };
    for (const [word] of text.matchAll(/\b[a-z]\w*/g)) add(word);
    let out = '';
    for (const name of wanted) out += `${library.get(name)?.text ?? ''}\n`;
    return out;
  };
}

/**
 * The functions of shaders/math.wgsl that a shader's text calls, with those that they call.
 *
 * @example
 * const code = mathFor(body) + body;
 */
export const mathFor: (text: string, defined?: string) => string = wgslLibrary(source);
