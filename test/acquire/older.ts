/** A manifest as earlier versions of procsnap wrote it. */
import type { Manifest } from '../../acquire/evidence/manifest.ts';

export const without = (value: object, ...names: string[]): object =>
	Object.fromEntries(Object.entries(value).filter(([name]) => !names.includes(name)));

/** Of version 6 alone. */
const LATER = ['filter', 'unlocatedBytes', 'lackingBytes', 'notOfOneMoment'];

/** What versions 1 to 5 do not have is left out; of the regions' contents nothing changes. */
export function ofVersion(version: 1 | 2 | 3 | 4 | 5, manifest: Manifest): Manifest {
	const { tool, collector, machine, target, regions, core, mechanism, ledger } = manifest;
	const old = {
		...without(manifest, 'program', ...LATER, ...(version === 1 ? ['partial'] : [])), schemaVersion: version,
		tool: without(tool, 'sha256'), collector: without(collector, 'options'),
		machine: without(machine, 'timeZone', 'clockSynchronized', 'clockSetByNs'),
		target: without(target, 'programFile', 'executedSince'),
		regions: regions.map((region) => ({
			...region, file: region.file === null ? null : { ...region.file, inode: Number(region.file.inode) },
		})),
		core: without(core, 'sha256', 'sha1', 'md5'),
		mechanism: version < 4 ? without(mechanism, 'why') : mechanism,
		ledger: without(
			ledger, ...(version < 4 ? ['attempts'] : []),
			...(version < 2 ? ['cutCalls', 'calls', 'unburied', 'endedEarly', 'endFailed'] : [])
		),
	};
	return old as unknown as Manifest;
}

/** What it is read as: what it does not tell is null. */
export function readFrom(version: 1 | 2 | 3 | 4 | 5, manifest: Manifest): Manifest {
	const { tool, collector, machine, target, core, mechanism, ledger } = manifest;
	return {
		...without(manifest, ...LATER) as Manifest, schemaVersion: version, program: null,
		partial: version === 1 ? null : manifest.partial,
		tool: { ...tool, sha256: null }, collector: { ...collector, options: null },
		machine: { ...machine, timeZone: null, clockSynchronized: null, clockSetByNs: null },
		target: { ...target, programFile: null, executedSince: null },
		core: { ...core, sha256: null, sha1: null, md5: null },
		mechanism: { ...mechanism, ...(version < 4 ? { why: null } : {}) },
		ledger: {
			...ledger, ...(version < 4 ? { attempts: null } : {}),
			...(version < 2 ? { cutCalls: null, calls: null, unburied: null, endedEarly: null, endFailed: null } : {}),
		},
	};
}
