// `npm run test:unit [vitest's arguments]`: unit tests with a report in reports/unit.json.
// What Dawn needs is installed where it is missing; vitest.config.ts sets it for a bare `npx vitest` as well.
import { ensureVulkan } from './find-vulkan.mjs';
import { tool } from './report.mjs';

let env = {};
try {
  env = ensureVulkan();
} catch (error) {
  process.stderr.write(`${error.message}\n`);
}
const reporters = ['--reporter=default', '--reporter=json', '--outputFile.json=reports/unit.json'];
process.exitCode = await tool('vitest', ['run', ...reporters, ...process.argv.slice(2)], { env });
