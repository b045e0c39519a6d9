// Tests in a real Chromium, over the built site and the built library: `npm run test:e2e` finds the browser and builds.
import { defineConfig } from '@playwright/test';
import { findBrowser } from './scripts/find-browser.mjs';

// Workers load this file again: what the first reading chose is handed on in the environment.
process.env.E2E_PORT ??= String(20_000 + (process.pid % 20_000));
process.env.CHROMIUM_PATH ??= findBrowser() ?? '';
const baseURL = `http://localhost:${process.env.E2E_PORT}`;

export default defineConfig({
  testDir: 'e2e',
  outputDir: 'reports/e2e',
  // A software adapter uses every core: one page at a time keeps times honest.
  workers: 1,
  fullyParallel: false,
  forbidOnly: true,
  retries: 0,
  timeout: 120_000,
  reporter: [['list'], ['json', { outputFile: 'reports/e2e.json' }]],
  use: {
    baseURL,
    launchOptions: {
      ...(process.env.CHROMIUM_PATH ? { executablePath: process.env.CHROMIUM_PATH } : {}),
      args: [
        '--no-sandbox',
        '--disable-background-networking',
        '--enable-unsafe-webgpu',
        '--use-webgpu-adapter=swiftshader',
        '--enable-features=Vulkan',
      ],
    },
  },
  projects: [{ name: 'chromium', use: { browserName: 'chromium' } }],
  webServer: {
    command: 'node scripts/serve.mjs --test',
    url: `${baseURL}/dist/webgluon.js`,
    env: { PORT: process.env.E2E_PORT },
    reuseExistingServer: false,
    timeout: 20_000,
  },
});
