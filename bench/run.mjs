// `npm run bench`: this project beside its peers, in one run. README.md here says how to read the tables and what the options are.
import { readFileSync, writeFileSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { ROOT } from '../scripts/report.mjs';
import { buildLibrary, buildPages, buildStartups, STARTUPS } from './build.mjs';
import { CONTENDERS, inNode, isSoftware, PACKAGES, takesPart } from './contenders.mjs';
import { bytesOf, openChromium, openNode } from './hosts.mjs';
import { distance, reference, TOLERANCE } from './reference.mjs';
import { startupTable, summary, tables } from './report.mjs';
import { QUICK, WORKS } from './works.mjs';

const GROUPS = [
  'training',
  'lenet',
  'resnet',
  'matmul',
  'conv',
  'gradients',
  'rows',
  'ops',
  'replay',
  'startup',
];
const flag = { type: 'boolean', default: false };
const { values: given } = parseArgs({
  options: {
    ...Object.fromEntries(
      [...GROUPS, 'quick', 'node', 'chromium', 'cpu', 'gpu', 'real-gpu', 'everywhere'].map((name) => [
        name,
        flag,
      ]),
    ),
    only: { type: 'string', multiple: true, default: [] },
    rounds: { type: 'string' },
    json: { type: 'string' },
    markdown: { type: 'string' },
  },
});

const chosen = GROUPS.filter((name) => given[name]);
const groups = new Set(chosen.length > 0 ? chosen : GROUPS);
const rounds = Number(given.rounds ?? (given.quick ? 3 : 4));
/** ms a contender works on in one round. */
const BUDGET = 50;
const MOST = 12;
/** A contender that takes longer over a run, ms, is not asked again: what the run took whose numbers were checked stands. */
const VERY_SLOW = 1500;

const devices = new Set(given.cpu === given.gpu ? ['cpu', 'gpu'] : given.cpu ? ['cpu'] : ['gpu']);
const wanted = (contender) =>
  devices.has(contender.device) &&
  (given.only.length === 0 || given.only.some((part) => contender.id.includes(part)));
const say = (line) => process.stderr.write(`${line}\n`);
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Opens every contender's host; those that are missing are left out with their reason. */
async function openAll(place, contenders) {
  const open = [];
  for (const contender of contenders) {
    let host;
    try {
      host = await place.host(contender);
      const { library, backend, threads, compiled } = contender;
      const { missing, adapter } = await host.call('open', {
        library,
        backend,
        threads,
        compiled,
        base: host.base,
      });
      if (missing === undefined) open.push({ ...contender, host, adapter });
      else {
        say(`${contender.id}: ${missing}`);
        await host.close();
      }
    } catch (error) {
      say(`${contender.id} does not start: ${error.message.split('\n')[0]}`);
      await host?.close();
    }
  }
  return open;
}

/** One work on all contenders, in turns. */
async function measureWork(work, open) {
  const expected = reference(work);
  const results = new Map();
  const ready = [];
  for (const contender of open) {
    if (contender.dead || !takesPart(contender, work.group)) continue;
    if (isSoftware(contender.adapter) && !work.software && !given.everywhere) continue;
    try {
      const { lack, first, values, note, slow, checking } = await contender.host.call(
        'prepare',
        work,
        expected,
      );
      const result = { lack, note, first, slow, samples: [] };
      results.set(contender.id, result);
      if (lack !== undefined) continue;
      if (expected !== undefined) {
        result.error_of_values = distance(values, expected);
        result.wrong = !(result.error_of_values <= TOLERANCE);
        if (result.wrong) say(`${contender.id}, ${work.name}: wrong numbers (${result.error_of_values})`);
      }
      if (checking > VERY_SLOW) result.samples.push(checking);
      ready.push({ contender, result });
    } catch (error) {
      fail(contender, work, error, results);
    }
  }
  for (let round = 0; round < rounds; round++)
    for (let i = 0; i < ready.length; i++) {
      const { contender, result } = ready[(i + round) % ready.length];
      if (result.error !== undefined || (result.slow && (round > 1 || result.samples[0] > VERY_SLOW)))
        continue;
      try {
        await pause(15);
        result.samples.push(...(await contender.host.call('measure', BUDGET, MOST)));
      } catch (error) {
        fail(contender, work, error, results);
      }
    }
  for (const { contender, result } of ready) {
    await contender.host.call('finish').catch(() => undefined);
    if (result.samples.length > 0) result.summary = summary(result.samples);
  }
  return results;
}

function fail(contender, work, error, results) {
  const message = error.message.split('\n')[0];
  say(`${contender.id}, ${work.name}: ${message}`);
  results.set(contender.id, { error: message });
  contender.dead = /no answer|closed|crash|process ended/i.test(message);
}

async function measurePlace(place, contenders, works) {
  const open = await openAll(place, contenders);
  const results = new Map();
  for (const work of works) {
    const begin = performance.now();
    results.set(work.id, await measureWork(work, open));
    say(`${place.place}: ${work.name} (${((performance.now() - begin) / 1000).toFixed(1)} s)`);
  }
  for (const { host } of open) await host.close();
  const adapters = new Set(open.map((c) => c.adapter).filter(Boolean));
  return {
    place: place.place,
    adapters: [...adapters],
    contenders: open.map(({ host: _, dead: __, ...contender }) => contender),
    works,
    results,
  };
}

/** Start-ups in turns, each in a fresh browser context; what is loaded is counted once. */
async function measureStartups(place) {
  const rows = [];
  for (const [what, names] of Object.entries(STARTUPS))
    for (const name of names)
      if (
        devices.has(/gpu/.test(name) ? 'gpu' : 'cpu') &&
        (given.only.length === 0 || given.only.some((part) => name.startsWith(part)))
      )
        rows.push({ what, name, samples: [] });
  for (let round = 0; round < (given.quick ? 1 : 3); round++)
    for (const row of rows) {
      if (row.error !== undefined || (round > 1 && row.samples[0] > 2000)) continue;
      try {
        const { ms, loaded } = await place.start(row.what, row.name);
        row.bytes ??= await bytesOf(loaded);
        row.samples.push(ms);
      } catch (error) {
        row.error = error.message.split('\n')[0];
        say(`start-up of ${row.name}: ${row.error}`);
      }
    }
  for (const row of rows) if (row.samples.length > 0) row.summary = summary(row.samples);
  say(`${place.place}: start-up`);
  return rows;
}

const began = performance.now();
const works = WORKS.filter((w) => groups.has(w.group) && (!given.quick || QUICK.has(w.id)));
const contenders = CONTENDERS.filter(wanted);
await buildLibrary();
const runs = [];
let startups = [];
let browserPlace;
if (given.chromium || !given.node) {
  if (works.length > 0) await buildPages();
  if (groups.has('startup')) await buildStartups();
  const place = await openChromium({ realGpu: given['real-gpu'] });
  browserPlace = place.place;
  try {
    if (works.length > 0) runs.push(await measurePlace(place, contenders, works));
    if (groups.has('startup')) startups = await measureStartups(place);
  } finally {
    await place.close();
  }
}
// by itself Node runs what differs there; asked for, everything
if (given.node || (!given.chromium && !given.quick)) {
  const place = await openNode();
  const some = given.node
    ? works
    : works.filter((w) => w.id === 'train-64' || w.group === 'ops' || w.group === 'replay');
  if (some.length > 0) runs.push(await measurePlace(place, contenders.filter(inNode), some));
}

const versions = Object.fromEntries(
  PACKAGES.map((name) => [
    name,
    JSON.parse(readFileSync(join(ROOT, 'node_modules', name, 'package.json'), 'utf8')).version,
  ]),
);
const machine = {
  cpu: cpus()[0]?.model.trim() ?? 'unknown',
  cores: cpus().length,
  load: loadavg().map((v) => Number(v.toFixed(2))),
  node: process.version,
  browser: browserPlace,
  adapters: [...new Set(runs.flatMap((run) => run.adapters))],
  date: new Date().toISOString(),
};
const lines = [
  `Machine: ${machine.cpu}, ${machine.cores} cores, load ${machine.load.join(' ')} at the end; ${browserPlace ?? machine.node}; adapters: ${machine.adapters.join(', ') || 'none'}.`,
  `Peers: ${Object.entries(versions)
    .map(([name, version]) => `${name} ${version}`)
    .join(', ')}.`,
  `Medians (10 % … 90 %) over ${rounds} interleaved rounds after warm-up; every contender's numbers compared with a float64 reference (${TOLERANCE}).`,
  '',
  ...runs.map(tables),
  startupTable(browserPlace, startups),
  `${((performance.now() - began) / 60_000).toFixed(1)} min in all.`,
];
process.stdout.write(`${lines.join('\n')}\n`);
if (given.markdown) writeFileSync(given.markdown, `${lines.join('\n')}\n`);
if (given.json) {
  const plain = runs.map((run) => ({
    ...run,
    results: Object.fromEntries([...run.results].map(([id, found]) => [id, Object.fromEntries(found)])),
  }));
  writeFileSync(
    given.json,
    `${JSON.stringify({ machine, versions, rounds, runs: plain, startups }, null, 1)}\n`,
  );
}
const mistaken = runs.some((run) =>
  [...run.results.values()].some((found) =>
    [...found].some(
      ([id, result]) => id.startsWith('webgluon') && (result.wrong || result.error !== undefined),
    ),
  ),
);
if (mistaken) {
  say('bench: webgluon gave wrong numbers or failed somewhere, see above');
  process.exitCode = 1;
}
