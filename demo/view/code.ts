// Listings: lines that wrap with their indentation where there is little room, and TypeScript with colours. The text itself is
// never changed.
import { make } from './dom.ts';

const TOKENS =
  /(?<comment>\/\/.*|\/\*.*?\*\/)|(?<string>'[^']*'|"[^"]*"|`[^`]*`)|(?<number>\b\d[\d_.]*\b)|(?<keyword>\b(?:import|from|export|async|await|function|const|let|new|return|type|for|of|if)\b)|(?<class>\b[A-Z][A-Za-z0-9]*\b)/g;

function coloured(line: string): (Node | string)[] {
  const parts: (Node | string)[] = [];
  let at = 0;
  for (const match of line.matchAll(TOKENS)) {
    parts.push(line.slice(at, match.index));
    const kind = Object.entries(match.groups ?? {}).find(([, text]) => text !== undefined)?.[0] ?? '';
    parts.push(make('span', `t-${kind}`, match[0]));
    at = match.index + match[0].length;
  }
  parts.push(line.slice(at));
  return parts;
}

function show(element: HTMLElement, text: string, parts: (line: string) => (Node | string)[]): void {
  element.replaceChildren(
    ...text.split('\n').map((line) => {
      const row = make('span', 'line');
      row.style.setProperty('--indent', String(line.search(/\S|$/)));
      row.append(...parts(line), '\n');
      return row;
    }),
  );
}

/** TypeScript, coloured. */
export function showCode(element: HTMLElement, source: string): void {
  show(element, source, coloured);
}

/** Text as it was printed. */
export function showText(element: HTMLElement, text: string): void {
  show(element, text, (line) => [line]);
}
