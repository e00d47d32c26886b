/** Manifests of versions 1 to 5, as the present one has them: what they did not tell is null. Pure. */
import * as v from 'valibot';
import type { Manifest } from './manifest.ts';
import { FIELDS_5, ledger, ledger1, ledger2, mechanism, mechanism3, partial } from './manifest-fields.ts';

const MANIFEST_5 = v.object({
	schemaVersion: v.picklist([4, 5]), ...FIELDS_5, mechanism, partial: v.nullable(partial), ledger,
});
const MANIFEST_3 = v.object({
	schemaVersion: v.picklist([2, 3]), ...FIELDS_5, mechanism: mechanism3, partial: v.nullable(partial),
	ledger: ledger2,
});
const MANIFEST_1 = v.object({ schemaVersion: v.literal(1), ...FIELDS_5, mechanism: mechanism3, ledger: ledger1 });

type Of<T extends v.GenericSchema> = v.InferOutput<T>;

const from1 = (manifest: Of<typeof MANIFEST_1>): Of<typeof MANIFEST_3> => ({
	...manifest, schemaVersion: 1 as never, partial: null,
	ledger: { ...manifest.ledger, cutCalls: null, calls: null, unburied: null, endedEarly: null, endFailed: null },
});
const from3 = (manifest: Of<typeof MANIFEST_3>): Of<typeof MANIFEST_5> => ({
	...manifest, schemaVersion: manifest.schemaVersion as never, mechanism: { ...manifest.mechanism, why: null },
	ledger: { ...manifest.ledger, attempts: null },
});
/** What later versions have is not theirs, and was not looked at. */
const LATER = ['filter', 'unlocatedBytes', 'lackingBytes', 'notOfOneMoment'];
const withoutLater = <T extends object>(manifest: T): T =>
	Object.fromEntries(Object.entries(manifest).filter(([name]) => !LATER.includes(name))) as T;

const from5 = (manifest: Of<typeof MANIFEST_5>): Manifest => ({
	...withoutLater(manifest),
	tool: { ...manifest.tool, sha256: null },
	collector: { ...manifest.collector, options: null },
	machine: { ...manifest.machine, timeZone: null, clockSynchronized: null, clockSetByNs: null },
	target: { ...manifest.target, programFile: null, executedSince: null },
	threads: manifest.threads.map(({ tid, skewNs, running, partial }) => ({ tid, skewNs, running, partial })),
	regions: manifest.regions.map((region) =>
		({ ...region, file: region.file === null ? null : { ...region.file, inode: String(region.file.inode) } })),
	core: { ...manifest.core, sha256: null, sha1: null, md5: null },
	program: null,
});

export interface Older { schema: v.GenericSchema; read: (value: unknown) => Manifest }

/** By version. `read` is for what `schema` lets through. */
export const OLDER: Record<number, Older> = {
	1: { schema: MANIFEST_1, read: (value) => from5(from3(from1(value as Of<typeof MANIFEST_1>))) },
	2: { schema: MANIFEST_3, read: (value) => from5(from3(value as Of<typeof MANIFEST_3>)) },
	3: { schema: MANIFEST_3, read: (value) => from5(from3(value as Of<typeof MANIFEST_3>)) },
	4: { schema: MANIFEST_5, read: (value) => from5(value as Of<typeof MANIFEST_5>) },
	5: { schema: MANIFEST_5, read: (value) => from5(value as Of<typeof MANIFEST_5>) },
};
