// WebGPU in Node needs a Vulkan driver that is the same everywhere: SwiftShader, which every Chromium ships.
// Says which environment variables a process must start with so that Dawn (npm's `webgpu`) finds it.
// What the user set stands: VK_ICD_FILENAMES or VK_DRIVER_FILES choose another driver, a real GPU for instance.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { browserFolders, ensureBrowser, installDebian } from './find-browser.mjs';
import { isMain } from './report.mjs';

const LOADER = 'libvulkan.so.1';

function loaderInstalled() {
  for (const ldconfig of ['/sbin/ldconfig', '/usr/sbin/ldconfig', 'ldconfig']) {
    const { status, stdout } = spawnSync(ldconfig, ['-p'], { encoding: 'utf8' });
    if (status === 0) {
      return stdout.split('\n').some((line) => {
        const file = line.split(' => ')[1];
        return line.includes(LOADER) && file !== undefined && existsSync(file);
      });
    }
  }
  return [`/usr/lib/${LOADER}`, `/usr/lib64/${LOADER}`].some((file) => existsSync(file));
}

/**
 * @returns {Record<string, string>} what to add to the environment; empty where nothing is needed or found
 * (Metal and Direct3D need nothing).
 */
export function vulkanEnvironment() {
  if (process.platform !== 'linux') return {};
  const env = {};
  const folders = browserFolders();
  if (!process.env.VK_ICD_FILENAMES && !process.env.VK_DRIVER_FILES) {
    const folder = folders.find((f) => existsSync(join(f, 'vk_swiftshader_icd.json')));
    if (folder) env.VK_ICD_FILENAMES = join(folder, 'vk_swiftshader_icd.json');
  }
  if (!loaderInstalled()) {
    // Chromium ships the loader too. Its folder holds other libraries as well, so it is named only where it is needed.
    const folder = folders.find((f) => existsSync(join(f, LOADER)));
    const before = process.env.LD_LIBRARY_PATH;
    if (folder && !before?.split(':').includes(folder))
      env.LD_LIBRARY_PATH = before ? `${folder}:${before}` : folder;
  }
  return env;
}

/** The same, after installing what is missing where that is possible. */
export function ensureVulkan() {
  if (process.platform !== 'linux') return {};
  const driver = (env) => process.env.VK_ICD_FILENAMES || process.env.VK_DRIVER_FILES || env.VK_ICD_FILENAMES;
  let env = vulkanEnvironment();
  if (!driver(env)) {
    ensureBrowser();
    env = vulkanEnvironment();
  }
  const loader = (e) => loaderInstalled() || e.LD_LIBRARY_PATH || process.env.LD_LIBRARY_PATH;
  if (!loader(env) && installDebian('libvulkan1')) env = vulkanEnvironment();
  if (!driver(env)) process.stderr.write('No Vulkan driver found: tests of WebGPU in Node will say so.\n');
  return env;
}

if (isMain(import.meta.url)) {
  for (const [name, value] of Object.entries(ensureVulkan())) process.stdout.write(`${name}=${value}\n`);
}
