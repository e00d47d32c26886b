/**
 * A hypervisor may give memory only when it is touched for the first time, for a tenfold of what a page costs later.
 * So as much as the largest variant needs is touched once before anything is measured; and at the end once more, which
 * tells whether the hypervisor has taken it back meanwhile.
 */
import type { Manifest } from '../store/manifest.ts';
import { probeFirstTouch } from '../targets/probes.ts';
import type { Variant } from '../types.ts';

type Memory = NonNullable<Manifest['memory']>;

/** A target, and a copy of it. */
const TIMES = 2;
const LEAST_BYTES = 256 << 20;
const PAGE = 4096;
/** Of what is available to this process: nobody is to make room for it. */
const SHARE = 1 / 2;
/** With 16 µs a page some 5 GiB. */
const MOST_MS = 20_000;

/** What the largest of them needs, as their factors say. Pure. */
export function neededBytes(variants: readonly Variant[]): number {
	const sizes = variants.map(({ factors: { rssMiB, sizeKiB } }) =>
		Math.max(Number(rssMiB ?? 0) * 2 ** 20, Number(sizeKiB ?? 0) * 1024));
	return TIMES * Math.max(0, ...sizes.filter((bytes) => !Number.isNaN(bytes)));
}

/** At least 256 MiB, as far as there is room. */
export async function warm(needed: number, cpu: number, available = process.availableMemory()): Promise<Memory> {
	const bytes = Math.floor(Math.min(Math.max(needed, LEAST_BYTES), available * SHARE) / PAGE) * PAGE;
	const found = await probeFirstTouch(bytes, MOST_MS, { cpu, priority: 0 });
	return { neededBytes: needed, warmed: 'why' in found ? null : found.value, why: 'why' in found ? found.why : null };
}
