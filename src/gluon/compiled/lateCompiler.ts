// What `import()` loads where no name of a page's has brought the compiler along: it alone, so that bundlers leave out what else lies beside it.
export { compiler } from './compiler.ts';
