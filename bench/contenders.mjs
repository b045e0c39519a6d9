// Who runs: libraries, their backends, and the threads they are allowed. `threads` undefined: as many as the library takes by itself.

const cpu = (library, backend, threads, more = {}) => ({
  id: `${library} ${backend}${threads === undefined ? '' : ` ×${threads}`}${more.compiled ? ', compiled' : ''}`,
  device: 'cpu',
  library,
  backend,
  threads,
  ...more,
});

const gpu = (library, backend, more = {}) => ({
  id: `${library} ${backend}${more.compiled ? ', compiled' : ''}`,
  device: 'gpu',
  library,
  backend,
  ...more,
});

/** Where compiling makes a difference: a lone operation is one kernel either way. */
const COMPILED = ['training', 'lenet', 'resnet', 'replay'];

export const CONTENDERS = [
  cpu('webgluon', 'cpu', 1),
  cpu('webgluon', 'cpu', 2),
  cpu('webgluon', 'cpu', 1, { compiled: true, groups: COMPILED }),
  cpu('webgluon', 'cpu', 2, { compiled: true, groups: COMPILED }),
  cpu('tfjs', 'cpu'),
  // one thread whatever setThreadsCount says: getThreadsCount() answers 1 in the published build
  cpu('tfjs', 'wasm'),
  cpu('ort', 'wasm', 1),
  cpu('ort', 'wasm', 2),
  cpu('jax', 'wasm', 1),
  cpu('jax', 'wasm', 2),
  gpu('webgluon', 'gpu'),
  gpu('webgluon', 'gpu', { compiled: true, groups: COMPILED }),
  gpu('tfjs', 'webgpu'),
  gpu('ort', 'webgpu'),
  gpu('jax', 'webgpu'),
  gpu('bare', 'webgpu', { groups: ['replay'] }),
];

/** Whether a contender takes part in a group of works. Sixteen elements are no work for two threads. */
export const takesPart = ({ groups, threads }, group) =>
  (groups === undefined || groups.includes(group)) &&
  !(threads > 1 && (group === 'ops' || group === 'replay'));

/** Node has no WebGPU but what webgluon opens itself, and one thread for those that make threads of web workers. */
export const inNode = ({ library, device, threads }) =>
  device === 'gpu'
    ? library === 'webgluon' || library === 'bare'
    : library === 'webgluon' || threads === undefined || threads === 1;

/** Packages whose versions stand above the tables. */
export const PACKAGES = [
  '@tensorflow/tfjs',
  '@tensorflow/tfjs-backend-wasm',
  '@tensorflow/tfjs-backend-webgpu',
  'onnxruntime-web',
  '@jax-js/jax',
];

/** A software adapter's kernels say nothing of a GPU: only works marked so run on it. */
export const isSoftware = (adapter) => /swiftshader|llvmpipe|lavapipe|software/i.test(adapter ?? '');
