// Graphs as SVG text: boxes with lines of text, edges with labels, light or dark as the page is. No ids and no style sheet, so that several may stand in one page, whatever its policy.
import { type Box, layout } from './layout.ts';

/** What a box stands for, which gives its colour. */
export type Kind = 'end' | 'product' | 'elementwise' | 'row' | 'window' | 'move' | 'random';

export interface PlotNode {
  readonly kind: Kind;
  readonly title: string;
  readonly lines: readonly string[];
}

export interface PlotEdge {
  readonly from: number;
  readonly to: number;
  readonly label: string;
}

/** One graph under a heading; edges go from earlier nodes to later ones. */
export interface Panel {
  readonly heading: string;
  readonly nodes: readonly PlotNode[];
  readonly edges: readonly PlotEdge[];
}

/** Kinds with their colours, which read on light and on dark, and what the legend calls them. */
const KINDS: Readonly<Record<Kind, readonly [colour: string, name: string]>> = {
  end: ['#8b949e', ''],
  product: ['#2f81f7', 'product, convolution'],
  elementwise: ['#2da44e', 'elementwise'],
  row: ['#d4760a', 'along an axis'],
  window: ['#a371f7', 'pooling'],
  move: ['#8b949e', 'view, copy, index'],
  random: ['#e05297', 'random'],
};

// Attributes, no style sheet: a page's policy may forbid inline styles. `light-dark` follows the page's own color-scheme; where a browser lacks it, the value of the group
// around holds.
const INK = 'var(--webgluon-ink,light-dark(#1f2328,#e6edf3))';
const PAPER = 'var(--webgluon-paper,light-dark(#fff,#0d1117))';
const LINE = 'var(--webgluon-line,light-dark(#6e7781,#8b949e))';
const TITLE = 'font-family="system-ui,sans-serif" font-size="13" font-weight="600"';

/** Widths of a character in the two fonts, at most, and a line's height, in pixels. */
const TITLE_CHAR = 7.6;
const TEXT_CHAR = 6.7;
const LINE_HEIGHT = 15;
const MARGIN = 20;

function escaped(text: string): string {
  return text.replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);
}

function group(attributes: string, parts: readonly string[]): string {
  return `<g ${attributes}>${parts.join('')}</g>`;
}

function text(x: number, y: number, words: string): string {
  return `<text x="${x}" y="${y}">${escaped(words)}</text>`;
}

/** A curve through points that leaves and arrives vertically, and where its head begins. */
function curve(points: readonly (readonly [number, number])[]): string {
  let d = '';
  let [x, y] = [0, 0];
  for (const [i, [nextX, nextY]] of points.entries()) {
    const end = i + 1 === points.length ? nextY - 5 : nextY;
    const middle = (y + end) / 2;
    d +=
      i === 0
        ? `M${nextX} ${end}`
        : x === nextX
          ? `V${end}`
          : `C${x} ${middle} ${nextX} ${middle} ${nextX} ${end}`;
    [x, y] = [nextX, end];
  }
  return `<path d="${d}"/>`;
}

function head(points: readonly (readonly [number, number])[]): string {
  const [x, y] = points.at(-1) ?? [0, 0];
  return `<path d="M${x} ${y}l-4-7h8z"/>`;
}

function drawn({ nodes, edges }: Panel): Box & { readonly body: string } {
  const boxes = nodes.map(({ title, lines }, i) => {
    const width = Math.max(title.length * TITLE_CHAR, ...lines.map((line) => line.length * TEXT_CHAR)) + 22;
    // a label stands right of the line that leaves its box
    const labels = edges.filter(({ from }) => from === i).map(({ label }) => label.length * TEXT_CHAR + 8);
    return {
      own: Math.ceil(width),
      width: Math.ceil(Math.max(width, ...labels.map((label) => 2 * label))),
      height: 24 + lines.length * LINE_HEIGHT,
    };
  });
  const { width, height, places, paths } = layout(boxes, edges);
  // several edges of one value have one label
  const labels = new Set(
    edges.map(({ label }, i) => {
      const [x, y] = paths[i]?.[0] ?? [0, 0];
      return text(x + 6, y + 13, label);
    }),
  );
  const rects: string[] = [];
  const titles: string[] = [];
  const lines: string[] = [];
  for (const [i, node] of nodes.entries()) {
    const [x, y] = places[i] ?? [0, 0];
    const { own, height: high } = boxes[i] as (typeof boxes)[number];
    const [colour] = KINDS[node.kind];
    rects.push(
      `<rect x="${x - own / 2}" y="${y}" width="${own}" height="${high}" rx="${node.kind === 'end' ? 12 : 5}" fill="${colour}" stroke="${colour}"/>`,
    );
    titles.push(text(x, y + 16, node.title));
    for (const [k, line] of node.lines.entries()) lines.push(text(x, y + 31 + k * LINE_HEIGHT, line));
  }
  const body = [
    group('fill="none" stroke="#6e7781"', [group(`stroke="${LINE}" stroke-width="1.2"`, paths.map(curve))]),
    group(`fill="${LINE}"`, paths.map(head)),
    group(`fill="${LINE}" stroke="${PAPER}" stroke-width="4" paint-order="stroke" text-anchor="start"`, [
      ...labels,
    ]),
    group('fill-opacity=".16"', rects),
    group(`fill="${INK}"`, [group(TITLE, titles), ...lines]),
  ].join('');
  return { width, height, body };
}

/** Panels side by side. */
export function svgText(title: string, description: string, panels: readonly Panel[]): string {
  let [x, height] = [MARGIN, 0];
  const heads: string[] = [];
  let body = '';
  for (const panel of panels) {
    const picture = drawn(panel);
    heads.push(text(x, MARGIN + 14, panel.heading));
    body += group(`transform="translate(${x} ${MARGIN + 28})"`, [picture.body]);
    x += Math.max(picture.width, Math.ceil(panel.heading.length * TITLE_CHAR)) + 2 * MARGIN;
    height = Math.max(height, picture.height);
  }
  const kinds = new Set(panels.flatMap(({ nodes }) => nodes.map(({ kind }) => kind)));
  let [at, bottom] = [MARGIN, height + 2 * MARGIN + 32];
  const legend: string[] = [];
  for (const [kind, [colour, name]] of Object.entries(KINDS)) {
    if (name === '' || !kinds.has(kind as Kind)) continue;
    const wide = 35 + Math.ceil(name.length * TEXT_CHAR);
    // the gap after a name may hang over, the name may not
    if (at > MARGIN && at + wide - 20 > x - 2 * MARGIN) [at, bottom] = [MARGIN, bottom + LINE_HEIGHT + 5];
    body += `<circle cx="${at + 5}" cy="${bottom}" r="5" fill="${colour}"/>`;
    legend.push(text(at + 15, bottom + 4, name));
    at += wide;
  }
  const size = `width="${x - MARGIN}" height="${bottom + MARGIN}"`;
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="${escaped(title)}" ${size} viewBox="0 0 ${x - MARGIN} ${bottom + MARGIN}" ` +
    'font-family="ui-monospace,Menlo,Consolas,monospace" font-size="11" text-anchor="middle" fill="#1f2328">' +
    `<title>${escaped(title)}</title><desc>${escaped(description)}</desc>` +
    group('fill="#fff"', [`<rect ${size} rx="8" fill="${PAPER}"/>`]) +
    body +
    group(`fill="${INK}" text-anchor="start"`, [group(TITLE, heads), ...legend]) +
    '</svg>'
  );
}
