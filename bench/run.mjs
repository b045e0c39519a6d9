// `npm run bench [-- --node --chromium --cpu --gpu]`: measures the built library in Node and in Chromium, on the CPU and on a GPU (a software adapter where
// there is no other), and prints a table of medians. `--json FILE` keeps the figures.
import { execFileSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { fileURLToPath } from 'node:url';
import { suite } from './suite.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const given = new Set(process.argv.slice(2));
const places = ['node', 'chromium'].filter((p) => given.has(`--${p}`));
const devices = ['cpu', 'gpu'].filter((d) => given.has(`--${d}`));
const wherever = places.length > 0 ? places : ['node', 'chromium'];
const whichever = devices.length > 0 ? devices : ['cpu', 'gpu'];

if (!existsSync(`${root}dist/webgluon.js`)) execFileSync(process.execPath, ['scripts/build.mjs'], { cwd: root, stdio: 'inherit' });

/** Runs the suite in a child, since a driver's environment must stand before Dawn is loaded. */
async function inNode(device) {
  const { ensureVulkan } = await import('../scripts/find-vulkan.mjs');
  const env = device === 'gpu' ? { ...process.env, ...ensureVulkan() } : process.env;
  const code = `import('./bench/suite.mjs').then(async ({ suite }) => {
    const rows = await suite(await import('./dist/webgluon.js'), ${JSON.stringify({ device })});
    console.log(JSON.stringify(rows));
  })`;
  const out = execFileSync(process.execPath, ['--input-type=module', '-e', code], { cwd: root, env, encoding: 'utf8', maxBuffer: 1 << 24 });
  return JSON.parse(out.trim().split('\n').at(-1));
}

async function inChromium(devicesThere) {
  const [{ chromium }, { ensureBrowser }, { createSite, listen }] = await Promise.all([
    import('@playwright/test'),
    import('../scripts/find-browser.mjs'),
    import('../scripts/serve.mjs'),
  ]);
  const server = createSite({ mounts: { '/dist/': `${root}dist`, '/e2e/pages/': `${root}e2e/pages` } });
  const port = await listen(server, 0, true);
  const browser = await chromium.launch({
    executablePath: ensureBrowser(),
    args: ['--no-sandbox', '--disable-background-networking', '--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader', '--enable-features=Vulkan'],
  });
  try {
    const results = {};
    for (const device of devicesThere) {
      const page = await browser.newPage();
      await page.goto(`http://localhost:${port}/e2e/pages/bare.html`);
      results[device] = await page.evaluate(
        async ({ text, options }) => {
          const run = new Function(`return (${text})`)();
          return run(await import('/dist/webgluon.js'), options);
        },
        { text: suite.toString(), options: { device } },
      );
      await page.close();
    }
    return { results, version: browser.version() };
  } finally {
    await browser.close();
    server.close();
    server.closeAllConnections();
  }
}

const all = [];
for (const place of wherever) {
  if (place === 'node') for (const device of whichever) all.push({ place: `Node ${process.version}`, device, rows: await inNode(device) });
  else {
    const { results, version } = await inChromium(whichever);
    for (const device of whichever) all.push({ place: `Chromium ${version}`, device, rows: results[device] });
  }
}

console.log(`Machine: ${cpus()[0]?.model.trim()}, ${cpus().length} cores. Medians (10 % … 90 %) after warm-up; GPU: the adapter found, here a software one unless the machine has another.\n`);
console.log('| where | device | what | median | 10 % … 90 % | runs |');
console.log('|---|---|---|---|---|---|');
for (const { place, device, rows } of all)
  for (const row of rows)
    console.log(`| ${place} | ${device} | ${row.group}: ${row.name} | ${row.median.toFixed(2)} ${row.unit} | ${row.low.toFixed(2)} … ${row.high.toFixed(2)} | ${row.runs} |`);
const file = process.argv[process.argv.indexOf('--json') + 1];
if (given.has('--json') && file) writeFileSync(file, `${JSON.stringify(all, null, 2)}\n`);
