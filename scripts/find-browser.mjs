// Finds the Chromium that the page tests run in, and installs one where there is none.
// Order: CHROMIUM_PATH; a system's own browser; the one Playwright downloaded. `ensureBrowser` goes on to install:
// Playwright's download first, then Debian's package where we are root.
// Prints the path when run by itself.
import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, realpathSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { delimiter, dirname, join } from 'node:path';
import { isMain } from './report.mjs';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];

/** The first executable of that name on PATH, as `command -v` finds it. */
export function onPath(name) {
  for (const folder of (process.env.PATH ?? '').split(delimiter)) {
    const file = join(folder, name);
    try {
      accessSync(file, constants.X_OK);
      if (statSync(file).isFile()) return file;
    } catch {
      // Not in this folder.
    }
  }
  return undefined;
}

function playwrightBrowser() {
  try {
    const { chromium } = createRequire(import.meta.url)('@playwright/test');
    const file = chromium.executablePath();
    return existsSync(file) ? file : undefined;
  } catch {
    return undefined;
  }
}

/** @returns {string | undefined} the path of a browser that is already here. */
export function findBrowser() {
  const asked = process.env.CHROMIUM_PATH;
  if (asked) {
    if (!existsSync(asked)) throw new Error(`CHROMIUM_PATH names ${asked}, which does not exist.`);
    return asked;
  }
  for (const name of NAMES) {
    const file = onPath(name);
    // Ubuntu's `chromium-browser` without its snap is a shell script that only prints advice.
    if (file && runs(file)) return file;
  }
  return playwrightBrowser();
}

function runs(file) {
  const { status, stdout } = spawnSync(file, ['--version'], { encoding: 'utf8', timeout: 20_000 });
  return status === 0 && /\d+\.\d+/.test(stdout);
}

function attempt(command, args) {
  process.stderr.write(`$ ${command} ${args.join(' ')}\n`);
  // Standard output goes to ours of errors: whoever reads the path from standard output gets nothing else.
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  return spawnSync(command, args, { stdio: ['ignore', 2, 2], env, timeout: 600_000 }).status === 0;
}

/** Debian's packages, where that is possible: root on a system with apt-get. */
export function installDebian(...packages) {
  if (process.getuid?.() !== 0 || !onPath('apt-get')) return false;
  return attempt('apt-get', ['update']) && attempt('apt-get', ['install', '-y', ...packages]);
}

/** @returns {string} the path of a browser, installed now if need be; throws with what to do when that fails. */
export function ensureBrowser() {
  const found = findBrowser();
  if (found) return found;
  const cli = createRequire(import.meta.url).resolve('@playwright/test/cli');
  // Playwright's own browser starts only with its libraries, so a download whose dependencies failed does not count.
  if (attempt(process.execPath, [cli, 'install', '--with-deps', '--no-shell', 'chromium'])) {
    const file = playwrightBrowser();
    if (file && runs(file)) return file;
  }
  if (installDebian('chromium')) {
    const file = findBrowser();
    if (file) return file;
  }
  throw new Error(
    'No Chromium found and none could be installed. Install Chromium or Chrome and put it on PATH, ' +
      'or name its executable in CHROMIUM_PATH.',
  );
}

/** The folder that holds the browser's own files, where it ships SwiftShader beside itself. */
export function browserFolders() {
  const folders = ['/usr/lib/chromium', '/usr/lib/chromium-browser', '/opt/google/chrome'];
  let file;
  try {
    file = findBrowser();
  } catch {
    // A wrong CHROMIUM_PATH is reported where the browser itself is needed.
  }
  if (file) folders.unshift(dirname(realpathSync(file)));
  const own = playwrightBrowser();
  if (own) folders.push(dirname(own));
  return folders;
}

if (isMain(import.meta.url)) {
  try {
    process.stdout.write(`${ensureBrowser()}\n`);
  } catch (error) {
    process.stderr.write(`${error.message}\n`);
    process.exitCode = 1;
  }
}
