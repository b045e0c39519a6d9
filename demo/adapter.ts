// The browser's adapter: what it calls itself, and which device the address asks for. Needs no library, so a page whose network lives in a worker loads none.
export type Kind = 'cpu' | 'gpu';

/** What the address asks for: `?device=cpu`, `?device=gpu`, `?software=1`. */
export interface Wish {
  readonly device: Kind | undefined;
  readonly allowSoftware: boolean;
}

export function readWish(search: string): Wish {
  const query = new URLSearchParams(search);
  const device = query.get('device');
  return {
    device: device === 'cpu' || device === 'gpu' ? device : undefined,
    allowSoftware: query.get('software') === '1',
  };
}

/** What the adapter says of itself: its name for people, or undefined where there is none. */
export async function gpuName(): Promise<string | undefined> {
  const info = await adapterInfo();
  return info === undefined ? undefined : nameOf(info);
}

export type Info = Partial<
  Pick<GPUAdapterInfo, 'vendor' | 'architecture' | 'device' | 'description' | 'isFallbackAdapter'>
>;

export async function adapterInfo(): Promise<Info | undefined> {
  try {
    return (await navigator.gpu?.requestAdapter())?.info ?? undefined;
  } catch {
    // Whoever opens the GPU hears the reason; this is only about its name.
    return undefined;
  }
}

const SOFTWARE = /swiftshader|llvmpipe|lavapipe|softpipe|software|basic render|\bwarp\b/i;

export function isSoftware(info: Info): boolean {
  return (
    info.isFallbackAdapter === true ||
    SOFTWARE.test(`${info.vendor} ${info.architecture} ${info.device} ${info.description}`)
  );
}

/** As their makers write them. */
const SPELLINGS: Readonly<Record<string, string>> = {
  amd: 'AMD',
  arm: 'Arm',
  gcn: 'GCN',
  nvidia: 'NVIDIA',
  rdna: 'RDNA',
  swiftshader: 'SwiftShader',
};

/** `'rdna-3'` → `'RDNA 3'`, `'ampere'` → `'Ampere'`. */
function spell(words: string): string {
  return words
    .split(/[-_\s]+/)
    .map((word) => SPELLINGS[word] ?? word.charAt(0).toUpperCase() + word.slice(1))
    .join(' ');
}

/** One line for people. `description` says most and is often empty; vendor and architecture remain. */
export function nameOf(info: Info): string {
  const parts = [info.vendor, info.architecture].filter((part) => part !== undefined && part !== '');
  const name =
    info.description || parts.map((part) => spell(part ?? '')).join(' ') || 'a GPU that gives no name';
  return isSoftware(info) ? `${name} (software)` : name;
}
