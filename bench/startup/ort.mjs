// The smallest page with onnxruntime-web: the entry of one backend and a LeNet as an ONNX model.
import { lenetModel } from '../contenders/onnxModel.mjs';
import { lenetBatch, lenetParameters } from '../lenet.mjs';

const ort =
  __BACKEND__ === 'webgpu' ? await import('onnxruntime-web/webgpu') : await import('onnxruntime-web/wasm');
ort.env.wasm.wasmPaths = new URL('/ort/', location.href).href;
const session = await ort.InferenceSession.create(lenetModel(1, lenetParameters()).model, {
  executionProviders: [__BACKEND__],
});
const input = new ort.Tensor('float32', lenetBatch(1, 0).x.data, [1, 1, 28, 28]);
const result = await (await session.run({ x: input })).y.getData();
globalThis.started = { ms: performance.now(), first: result[0] };
