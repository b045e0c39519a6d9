// Part 3 of Gluon's crash course: automatic differentiation.
import { autograd, type NDArray, nd } from 'webgluon';

// --- a gradient ---
const x = nd.array([
  [1, 2],
  [3, 4],
]);
x.attachGrad();
const y = autograd.record(() => x.mul(x).mul(2));
y.backward();
await x.grad.print(); // y = 2x², so dy/dx = 4x

// --- control flow ---
// Recording is synchronous: values are read between calls, and the tape hangs on the arrays.
async function f(a: NDArray): Promise<NDArray> {
  let b = autograd.record(() => a.mul(2));
  while ((await b.norm().asscalar()) < 1000) b = autograd.record(() => b.mul(2));
  const positive = (await b.sum().asscalar()) >= 0;
  return autograd.record(() => b.at(positive ? 0 : 1));
}

const a = nd.random.uniform({ shape: [2] });
a.attachGrad();
const c = await f(a);
c.backward();
// c is a multiple of one element of a, so the gradient is that factor at its place, and 0 at the other
await a.grad.print();
await c.div(a).print();
