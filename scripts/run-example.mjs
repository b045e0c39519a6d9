// `npm run example -- NAME [arguments]`: bundles examples/NAME.ts with the library's sources and runs it in Node.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'vite';
import { vulkanEnvironment } from './find-vulkan.mjs';
import { ROOT, run } from './report.mjs';
import { wgsl } from './vite-plugins.mjs';

const [name, ...rest] = process.argv.slice(2);
const entry = join(ROOT, 'examples', `${name}.ts`);
if (name === undefined || !existsSync(entry)) {
  process.stderr.write(`run-example: there is no examples/${name ?? 'NAME'}.ts\n`);
  process.exit(1);
}
const outDir = join(ROOT, 'reports', 'examples', name);
await build({
  configFile: false,
  root: ROOT,
  logLevel: 'warn',
  resolve: { alias: { webgluon: join(ROOT, 'src', 'index.ts') } },
  plugins: [wgsl()],
  build: {
    ssr: entry,
    outDir,
    emptyOutDir: true,
    target: 'node20',
    minify: false,
    // modules by their name: the manifest next to them may be of something else
    rolldownOptions: { output: { entryFileNames: `${name}.mjs`, chunkFileNames: '[name].mjs' } },
  },
});
process.exitCode = await run(process.execPath, [join(outDir, `${name}.mjs`), ...rest], {
  env: vulkanEnvironment(),
});
