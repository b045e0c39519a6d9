// Figures as tables: a row a work, a column a contender, medians with the span of the middle four fifths.

/** Quantiles of samples. */
export function summary(samples) {
  const sorted = [...samples].sort((a, b) => a - b);
  const at = (q) => {
    const place = q * (sorted.length - 1);
    const low = Math.floor(place);
    return sorted[low] + (place - low) * ((sorted[low + 1] ?? sorted[low]) - sorted[low]);
  };
  return { median: at(0.5), low: at(0.1), high: at(0.9), samples: sorted.length };
}

/** Three digits that count. */
export function text(value) {
  if (value >= 1000) return value.toFixed(0);
  if (value >= 100) return value.toFixed(0);
  if (value >= 10) return value.toFixed(1);
  if (value >= 1) return value.toFixed(2);
  if (value >= 0.1) return value.toFixed(3);
  return String(Number(value.toPrecision(2)));
}

const GROUPS = {
  training: 'training step (forward, loss, backward, sgd), ms',
  lenet: 'LeNet forward with its values read, ms',
  resnet: 'ResNet-8 forward with its values read, ms',
  matmul: 'Matrix product, GFLOP/s',
  conv: 'Convolution, GFLOP/s',
  gradients: 'Gradients of convolutions, GFLOP/s',
  rows: 'Elementwise and rows of 1024, ms',
  ops: 'JavaScript per eager operation on 16 elements, µs (on a GPU: until the last submit)',
  replay: 'JavaScript of a replayed program, µs per dispatch (on a GPU: encoding, without the submit)',
};

/** Shown as work per second. */
const RATES = new Set(['matmul', 'conv', 'gradients']);

function cell(work, result) {
  if (result === undefined) return '';
  if (result.lack !== undefined) return '–';
  if (result.error !== undefined) return 'failed';
  if (result.wrong) return 'wrong numbers';
  const { median, low, high } = result.summary;
  if (RATES.has(work.group)) {
    const rate = (ms) => text(work.flops / ms / 1e6);
    return `**${rate(median)}** (${rate(high)} … ${rate(low)})`;
  }
  return `**${text(median)}** (${text(low)} … ${text(high)})`;
}

/** The best of the peers that had no more threads than we. */
function bestPeer(results, ours, contenders) {
  let best;
  for (const peer of contenders) {
    if (peer.library === 'webgluon' || peer.device !== ours.device) continue;
    if (peer.device === 'cpu' && (peer.threads ?? 1) > (ours.threads ?? 1)) continue;
    const found = results.get(peer.id)?.summary;
    if (found && !(found.median >= best?.median)) best = { median: found.median, id: peer.id };
  }
  return best;
}

/**
 * @param {{ place: string, contenders: object[], works: object[], results: Map<string, Map<string, object>> }} run results by work, then contender
 * @returns {string} Markdown
 */
export function tables({ place, contenders, works, results }) {
  const out = [];
  for (const device of ['cpu', 'gpu'])
    for (const [group, title] of Object.entries(GROUPS)) {
      const rows = works.filter((w) => w.group === group);
      const columns = contenders.filter(
        (c) => c.device === device && rows.some((w) => results.get(w.id)?.get(c.id)?.summary !== undefined),
      );
      const shown = rows.filter((w) => columns.some((c) => results.get(w.id)?.has(c.id)));
      if (columns.length === 0 || shown.length === 0) continue;
      const ours = columns.filter((c) => c.library === 'webgluon');
      const head = [...columns.map((c) => c.id), ...ours.map((c) => `${c.id}: best peer’s time over ours`)];
      out.push(
        `### ${place}, ${device.toUpperCase()}: ${title}`,
        '',
        `| | ${head.join(' | ')} |`,
        `|---|${head.map(() => '---').join('|')}|`,
      );
      for (const work of shown) {
        const found = results.get(work.id);
        const against = ours.map((c) => {
          const best = bestPeer(found, c, contenders);
          const mine = found.get(c.id)?.summary;
          return best && mine ? `${(best.median / mine.median).toFixed(2)}× (${best.id})` : '';
        });
        out.push(
          `| ${[work.name, ...columns.map((c) => cell(work, found.get(c.id))), ...against].join(' | ')} |`,
        );
      }
      const notes = new Set(
        shown.flatMap((work) =>
          columns.map(({ id }) => {
            const { note } = results.get(work.id).get(id) ?? {};
            return note === undefined ? '' : `${id}, ${work.name}: ${note}.`;
          }),
        ),
      );
      out.push('', ...[...notes].filter(Boolean).flatMap((note) => [note, '']));
    }
  return out.join('\n');
}

/** @param {{ what: string, name: string, summary?: object, bytes?: object, error?: string }[]} rows */
export function startupTable(place, rows) {
  if (rows.length === 0) return '';
  const titles = { forward: 'LeNet forward of one picture', train: 'one training step of LeNet, batch 64' };
  const kB = (n) => (n / 1000).toFixed(0);
  return [
    `### ${place}: start-up to the first result, and what the page loads`,
    '',
    '| page | library | ms from navigation | kB gzip | of it unpacked: scripts, wasm, kB |',
    '|---|---|---|---|---|',
    ...rows.map(({ what, name, summary: s, bytes, error }) =>
      error !== undefined
        ? `| ${titles[what]} | ${name} | failed | | |`
        : `| ${titles[what]} | ${name} | **${text(s.median)}** (${text(s.low)} … ${text(s.high)}) | **${kB(bytes.gzip)}** | ${kB(bytes.script)}, ${kB(bytes.wasm)} |`,
    ),
    '',
  ].join('\n');
}
