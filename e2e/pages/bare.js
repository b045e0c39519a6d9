// The library as a page without a bundler gets it: by relative URL, here and in a module worker.
import { nd } from '../../dist/webgluon.js';

const show = (id, text) => {
  const element = document.getElementById(id);
  element.textContent = text;
  element.dataset.done = 'true';
};

const x = nd.array([
  [1, 2],
  [3, 4.5],
]);
show('page', `${String(x)}\n${(await x.data()).join(' ')}`);

const worker = new Worker(new URL('./bare-worker.js', import.meta.url), { type: 'module' });
worker.onmessage = (event) => show('worker', event.data);
worker.onerror = (event) => show('worker', `error: ${event.message}`);
