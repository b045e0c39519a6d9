import { nd } from '../../dist/webgluon.js';

const x = nd.array([
  [1, 2],
  [3, 4.5],
]);
postMessage(`${String(x)}\n${(await x.data()).join(' ')}`);
