// One contender in its own Node process: the measuring side behind messages. `webgluon` is the copy built for the benchmark.
import { register } from 'node:module';

const library = new URL('../dist-bench/webgluon/webgluon.js', import.meta.url).href;
const hooks = `export const resolve = (name, context, next) =>
  name === 'webgluon' ? { url: ${JSON.stringify(library)}, shortCircuit: true } : next(name, context);`;
register(`data:text/javascript,${encodeURIComponent(hooks)}`);

const { makeHost } = await import('./measure.mjs');
const host = makeHost();
process.on('message', async ({ method, args }) => {
  try {
    process.send({ value: await host[method](...args) });
  } catch (error) {
    process.send({ error: error.stack ?? String(error) });
  }
});
