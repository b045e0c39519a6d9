// Vite gives a file's own text for `?raw`: the listing shows the file that runs.
declare module '*.ts?raw' {
  const source: string;
  export default source;
}
