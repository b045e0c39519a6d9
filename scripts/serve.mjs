// A static server for the built site: `npm start`. Isolates the page (threads need shared memory, which needs that).
// With `--test` it also gives the tests what they open: /dist/ (the library), /e2e/pages/ (pages without a bundler),
// /test-data/ and, in front of any path, /csp/ (a strict content-security policy) or /plain/ (no isolation).
// PORT chooses the port; without it the first free one from 8080 on.
import { createReadStream, existsSync, realpathSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import { extname, join, normalize, sep } from 'node:path';
import { isMain, ROOT } from './report.mjs';

const TYPES = {
  '.bin': 'application/octet-stream',
  '.css': 'text/css; charset=utf-8',
  '.gif': 'image/gif',
  '.gz': 'application/gzip',
  '.html': 'text/html; charset=utf-8',
  '.ico': 'image/x-icon',
  '.jpeg': 'image/jpeg',
  '.jpg': 'image/jpeg',
  '.js': 'text/javascript; charset=utf-8',
  '.json': 'application/json; charset=utf-8',
  '.map': 'application/json; charset=utf-8',
  '.md': 'text/markdown; charset=utf-8',
  '.mjs': 'text/javascript; charset=utf-8',
  '.png': 'image/png',
  '.svg': 'image/svg+xml',
  '.txt': 'text/plain; charset=utf-8',
  '.wasm': 'application/wasm',
  '.webmanifest': 'application/manifest+json',
  '.webp': 'image/webp',
  '.wgsl': 'text/plain; charset=utf-8',
  '.woff2': 'font/woff2',
};

/** The policy under which the library has to run. */
const POLICY = "script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'";

const ISOLATION = {
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
  'Cross-Origin-Resource-Policy': 'same-origin',
};

/** Where a path's file lies: the longest mount that begins it. */
function locate(path, mounts) {
  const prefix = Object.keys(mounts)
    .filter((mount) => path.startsWith(mount))
    .sort((a, b) => b.length - a.length)[0];
  const folder = prefix === undefined ? undefined : mounts[prefix];
  if (folder === undefined || !existsSync(folder)) return undefined;
  let file = join(folder, normalize(path.slice(prefix.length)));
  if (existsSync(file) && statSync(file).isDirectory()) file = join(file, 'index.html');
  if (!existsSync(file) || !statSync(file).isFile()) return undefined;
  // Neither `..` nor a link leads out of the folder.
  return realpathSync(file).startsWith(realpathSync(folder) + sep) ? file : undefined;
}

/**
 * @param {{ mounts: Record<string, string>, variants?: boolean }} options URL prefixes and their folders; whether
 * /csp/ and /plain/ exist.
 */
export function createSite({ mounts, variants = false }) {
  return createServer((request, response) => {
    const fail = (status, text) => {
      response.writeHead(status, { 'Content-Type': 'text/plain; charset=utf-8', ...ISOLATION });
      response.end(`${text}\n`);
    };
    if (request.method !== 'GET' && request.method !== 'HEAD') return fail(405, 'only GET and HEAD');
    let path;
    try {
      path = decodeURIComponent(new URL(request.url ?? '/', 'http://localhost').pathname);
    } catch {
      return fail(400, 'not a path');
    }
    if (path.includes('\0')) return fail(400, 'not a path');

    const headers = { 'Cache-Control': 'no-cache', 'X-Content-Type-Options': 'nosniff' };
    const variant = variants ? /^\/(csp|plain)(?=\/)/.exec(path)?.[1] : undefined;
    if (variant !== undefined) path = path.slice(variant.length + 1);
    if (variant !== 'plain') Object.assign(headers, ISOLATION);
    if (variant === 'csp') headers['Content-Security-Policy'] = POLICY;

    const file = locate(path, mounts);
    if (file === undefined) return fail(404, `${path}: not found`);
    headers['Content-Type'] = TYPES[extname(file).toLowerCase()] ?? 'application/octet-stream';
    headers['Content-Length'] = String(statSync(file).size);
    response.writeHead(200, headers);
    if (request.method === 'HEAD') return response.end();
    return createReadStream(file)
      .on('error', () => response.destroy())
      .pipe(response);
  });
}

/** Listens on the first free port from `port` on, or on that port alone; resolves to the port. */
export async function listen(server, port, strict) {
  for (let candidate = port; ; candidate++) {
    const error = await new Promise((resolve) => {
      server.once('error', resolve);
      server.listen(candidate, () => {
        server.off('error', resolve);
        resolve(undefined);
      });
    });
    if (error === undefined) return server.address().port;
    if (error.code !== 'EADDRINUSE' || strict || candidate - port >= 100) throw error;
  }
}

if (isMain(import.meta.url)) {
  const test = process.argv.includes('--test');
  const mounts = { '/': join(ROOT, 'dist-site') };
  if (test) {
    for (const folder of ['dist', 'e2e/pages', 'test-data']) mounts[`/${folder}/`] = join(ROOT, folder);
  }
  if (!test && !existsSync(join(ROOT, 'dist-site', 'index.html'))) {
    process.stderr.write('serve: there is no built site. Run `npm run build` first.\n');
    process.exit(1);
  }
  const server = createSite({ mounts, variants: test });
  const asked = process.env.PORT;
  const port = asked === undefined || asked === '' ? 8080 : Number(asked);
  if (!Number.isInteger(port) || port < 0 || port > 65535) {
    process.stderr.write(`serve: PORT is not a port: ${asked}\n`);
    process.exit(1);
  }
  try {
    const chosen = await listen(server, port, test);
    process.stdout.write(`webgluon is served at http://localhost:${chosen}/\n`);
  } catch (error) {
    process.stderr.write(`serve: ${error.message}\n`);
    process.exit(1);
  }
  for (const signal of ['SIGINT', 'SIGTERM']) {
    process.on(signal, () => {
      server.close();
      server.closeAllConnections();
    });
  }
}
