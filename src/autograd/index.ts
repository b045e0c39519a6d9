// The namespace `autograd`. The library's own code imports from the files behind it, so that the namespace stays a module of its own.
export * from './api.ts';
