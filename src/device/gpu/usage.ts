// WebGPU's usage flags by number: Node has no globals for them, and a library should not make any.
export const MAP_READ = 0x0001;
export const COPY_SRC = 0x0004;
export const COPY_DST = 0x0008;
export const UNIFORM = 0x0040;
export const STORAGE = 0x0080;
/** GPUShaderStage.COMPUTE */
export const STAGE_COMPUTE = 0x4;
/** GPUMapMode.READ */
export const MODE_READ = 0x1;
export const QUERY_RESOLVE = 0x0200;
