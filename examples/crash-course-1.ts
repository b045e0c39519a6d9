// Part 1 of Gluon's crash course: arrays. Create them, compute with them, take parts of them, convert them. Runs on the CPU and prints what MXNet's tutorial prints.
import { nd } from 'webgluon';

// --- create ---
const list = nd.array([
  [1, 2, 3],
  [5, 6, 7],
]);
await list.print();
let x = nd.ones([2, 3]);
await x.print();
const y = nd.random.uniform(-1, 1, [2, 3]);
await y.print();
x = nd.full([2, 3], 2.0);
await x.print();
console.log(x.shape, x.size, x.dtype);

// --- compute ---
await x.mul(y).print();
await y.exp().print();
await nd.dot(x, y.T).print();

// --- index ---
await y.at(1, 2).print();
await y.at(':', '1:3').print();
y.set([':', '1:3'], 2);
await y.print();
y.set(['1:2', '0:2'], 4);
await y.print();

// --- convert ---
const a = await x.data();
console.log(a);
console.log(await x.array());
await nd.array(a, { shape: [2, 3] }).print();
