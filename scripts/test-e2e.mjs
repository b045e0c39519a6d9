// `npm run test:e2e [--no-build] [playwright's arguments]`: finds or installs the browser, builds, and runs.
import { ensureBrowser } from './find-browser.mjs';
import { run, tool } from './report.mjs';

try {
  const CHROMIUM_PATH = ensureBrowser();
  const given = process.argv.slice(2);
  const args = given.filter((argument) => argument !== '--no-build');
  if (args.length === given.length) {
    const status = await run(process.execPath, ['scripts/build.mjs']);
    if (status !== 0) process.exit(status);
  }
  process.exitCode = await tool('playwright', ['test', ...args], { env: { CHROMIUM_PATH } });
} catch (error) {
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
}
