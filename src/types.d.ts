// Files that vite and vitest load as text: shader bodies, and nothing else.
declare module '*.wgsl?raw' {
  const source: string;
  export default source;
}
