// `npm run build`: the library with its types, then the site. `--library` or `--site` makes one of them.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT, run, tool } from './report.mjs';

const only = process.argv.slice(2);
const wanted = (name) => only.length === 0 || only.includes(`--${name}`);

async function must(step, status) {
  if ((await status) !== 0) {
    process.stderr.write(`build: ${step} failed\n`);
    process.exit(1);
  }
}

if (wanted('library')) {
  await must('the kernels', run(process.execPath, ['scripts/build-wasm.mjs']));
  await must('the library', tool('vite', ['build', '--mode', 'library', '--logLevel', 'warn']));
  if (existsSync(join(ROOT, 'src/worker.ts'))) {
    await must('the worker', tool('vite', ['build', '--mode', 'worker', '--logLevel', 'warn']));
  }
  await must('the types', run(process.execPath, ['scripts/build-types.mjs']));
}
if (wanted('site')) {
  if (existsSync(join(ROOT, 'index.html')))
    await must('the site', tool('vite', ['build', '--logLevel', 'warn']));
  else process.stderr.write('build: no index.html yet, so no site\n');
}
