/** What is sealed of a take. */
import { Failure } from '../common/errors.ts';
import type { Executed, Identity } from '../common/proc/process.ts';
import { missing } from './account.ts';
import { instantAfter, type describeCollection } from './collection.ts';
import type { CoreLayout } from './evidence/core.ts';
import { lackingBytes } from './evidence/lacking.ts';
import type { Incomplete, Ledger, Manifest, NotOfOneMoment } from './evidence/manifest.ts';
import { CHUNK_BYTES, HASH_BYTES } from './evidence/merkle.ts';
import { recordRegions } from './evidence/records.ts';
import type { CoreSource } from './evidence/source.ts';
import type { Moment } from './moment.ts';
import { MOST_KEPT_BYTES, type ProgramFile } from './program.ts';
import type { Read } from './reading-out.ts';
import { instantNow } from './survey.ts';

/**
 * What the seal of a core needs on the disk, at most, but for a long list of what could not be read: leaves, what is
 * said of each region and of each of its parts, and the program, where it is kept.
 */
export const sealBytes = (
	{ bytes, contents }: Pick<CoreLayout, 'bytes' | 'contents'>, regions: number, keepsProgram: boolean
): number => Math.ceil(bytes / CHUNK_BYTES) * HASH_BYTES + REGION_BYTES * regions +
	SEGMENT_BYTES * contents.reduce((sum, { segments }) => sum + segments.length, 0) + OTHER_BYTES +
	(keepsProgram ? MOST_KEPT_BYTES : 0);
const REGION_BYTES = 800, SEGMENT_BYTES = 160, OTHER_BYTES = 1 << 20;

/**
 * Of a copy that is a process, that is the program. Otherwise it was asked for by way of the target: where that has not
 * the memory any more that it had (`isThere`), nobody knows of which program the file was.
 */
export function programRead({ still }: Moment, isThere: boolean, file: ProgramFile): ProgramFile {
	return still.pid !== 0 || isThere
		? file
		: {
			bytes: null, inode: null, sha256: null, content: null,
			failed: 'the target has ended, or executed a program, perhaps before the file was opened',
		};
}

export async function manifestOf(
	{
		seen, moment, layout, read, source, ledger, partial, since, notOfOneMoment, program, merkleRoot,
		transfer, collection, leftGroups, why,
	}: {
		seen: Identity; moment: Moment; layout: CoreLayout; read: Read; source: CoreSource; ledger: Ledger;
		partial: Incomplete | null; since: Executed | null; notOfOneMoment: NotOfOneMoment | null;
		program: ProgramFile; merkleRoot: string;
		transfer: Manifest['transfer']; collection: ReturnType<typeof describeCollection>; why: string;
		leftGroups: Manifest['leftGroups'] | undefined;
	}
): Promise<Manifest> {
	const { machine, ...collected } = collection, { image, planned, executed, before, threads } = moment;
	const { name, description } = moment.mechanism, { whole } = read.digests;
	const after = instantAfter(before, instantNow());
	const unreadable = missing(source.unreadable, layout, read.cutOff), { times, takenBack } = source;
	const regions = await recordRegions(planned, layout, { times, unreadable, takenBack }, read.digests.ranges);
	const mapped = planned.find(({ region }) =>
		region.name === executed.program && (program.inode === null || region.inode === program.inode))?.region;
	return {
		...collected,
		machine: { ...machine, clockSetByNs: after.clockSetByNs },
		target: {
			...seen, command: executed.command, commandLine: executed.commandLine, program: executed.program,
			programBytes: program.bytes, programSha256: program.sha256,
			programFile: mapped === undefined ? null : { device: mapped.device, inode: String(mapped.inode) },
			executedSince: since,
		},
		transfer,
		mechanism: { name, description, why },
		before, momentNs: image.momentNs, after: after.instant, skewNs: image.skewNs,
		threads: [
			...threads.map((thread) =>
				({ tid: thread.tid, skewNs: thread.skewNs, running: thread.running, partial: thread.partial })),
			...moment.unreadThreads.map((thread) => ({ ...thread, partial: false })),
		],
		regions,
		...(notOfOneMoment === null ? {} : { notOfOneMoment }),
		partial,
		ledger,
		filter: moment.filter, unlocatedBytes: moment.unlocatedBytes,
		lackingBytes: lackingBytes(planned, regions) + moment.unlocatedBytes,
		core: {
			file: 'core', bytes: layout.bytes, chunkBytes: CHUNK_BYTES, merkleRoot, leaves: 'leaves',
			sha256: whole.sha256 ?? null, sha1: whole.sha1 ?? null, md5: whole.md5 ?? null,
		},
		...(leftGroups === undefined ? {} : { leftGroups }),
		program: program.content === null || program.sha256 === null
			? null
			: { file: 'program', bytes: program.content.length, sha256: program.sha256 },
	};
}

/** Of the signature: that it was there by then. Evidence without it is better than none. */
export async function timestampOf(signature: Uint8Array, url: string | undefined, signal?: AbortSignal): Promise<{
	timestamp: Uint8Array | null; failed: string | null;
}> {
	if (url === undefined) return { timestamp: null, failed: null };
	try {
		const { requestTimestamp } = await import('./timestamp-client.ts');
		const timestamp = await requestTimestamp(url, signature, signal === undefined ? {} : { signal });
		return { timestamp, failed: null };
	} catch (error) {
		if (!(error instanceof Failure)) throw error;
		return { timestamp: null, failed: error.message };
	}
}
