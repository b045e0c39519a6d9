// Unit tests: beside the code, in Node. The environment for Dawn (WebGPU in Node) has to stand before a worker process
// starts, because the Vulkan loader reads it once; so it is set here, where `npx vitest` passes as well as `npm test`.
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';
import { vulkanEnvironment } from './scripts/find-vulkan.mjs';

Object.assign(process.env, vulkanEnvironment());

export default defineConfig({
  resolve: { alias: { webgluon: fileURLToPath(new URL('./src/index.ts', import.meta.url)) } },
  test: {
    include: [
      'src/**/*.test.ts',
      'test/**/*.test.ts',
      'demo/**/*.test.ts',
      'scripts/**/*.test.ts',
      'examples/**/*.test.ts',
      'docs/**/*.test.ts',
    ],
    environment: 'node',
    // A native addon wants processes, not threads; two, because the project is tested on two cores.
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 60_000,
    teardownTimeout: 10_000,
  },
});
