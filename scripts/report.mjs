// What the scripts share: where the project is, how a command is run, and where reports lie.
import { spawn } from 'node:child_process';
import { mkdirSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('..', import.meta.url));
export const REPORTS = join(ROOT, 'reports');
mkdirSync(REPORTS, { recursive: true });

/** Whether a script was started by itself rather than imported. */
export function isMain(url) {
  const started = process.argv[1];
  return started !== undefined && realpathSync(started) === realpathSync(fileURLToPath(url));
}

/** Runs a command in the project's root with its output shown; resolves to the exit status. */
export function run(command, args, { env = {}, timeout = 900_000 } = {}) {
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      cwd: ROOT,
      stdio: ['ignore', 'inherit', 'inherit'],
      env: { ...process.env, ...env },
      timeout,
      killSignal: 'SIGKILL',
    });
    child.on('error', (error) => {
      process.stderr.write(`${command}: ${error.message}\n`);
      resolve(1);
    });
    child.on('exit', (status, signal) => {
      if (signal) process.stderr.write(`${command} ended by ${signal}\n`);
      resolve(status ?? 1);
    });
  });
}

/** A tool of node_modules/.bin, run by this Node. */
export function tool(name, args, options) {
  return run(join(ROOT, 'node_modules', '.bin', name), args, options);
}
