/**
 * live: the memory of a process as it runs, read page by page by /proc/PID/mem. Nothing is stopped, nothing is copied,
 * and nothing is of one moment: for processes that let nobody stop them, such as those that trace themselves.
 */
import { readdirSync } from 'node:fs';
import { auxvOf, countersOf, livingThread } from '../common/proc/process.ts';
import { NOTHING_DONE, nowNs, ProcsnapError, type Reason, type Tracer } from '../native/index.ts';
import { LiveImage } from './shared/live-image.ts';
import { readBy } from './shared/process-image.ts';
import type { Estimate, Mechanism } from './shared/types.ts';

/** Of the reasons against a copy (docs/check.md) those that are against reading as well. */
const AGAINST_READING = [
	'bad-pid', 'own-process', 'no-process', 'kernel-thread', 'thread', 'zombie', 'no-permission', '32-bit',
];
/** elf(5), getauxval(3): the size of a program header, which is another one in a program of 32 bits. */
const AT_PHENT = 4, PHENT_32 = 32;

function reasonsAgainst(pid: number, found: readonly Reason[]): Reason[] {
	const reasons = found.filter(({ name }) => AGAINST_READING.includes(name));
	// Of one that is traced no more was looked at.
	if (found.some(({ name }) => name === 'traced') && is32Bit(pid)) {
		reasons.push({
			name: '32-bit', code: 'ENOTSUP', text: `process ${pid} runs 32-bit code: only 64-bit processes can be taken`,
		});
	}
	return reasons;
}

function is32Bit(pid: number): boolean {
	const auxv = auxvOf(pid);
	for (let at = 0; at + 8 <= auxv.length && auxv.readUInt32LE(at) !== 0; at += 8)
		if (auxv.readUInt32LE(at) === AT_PHENT && auxv.readUInt32LE(at + 4) === PHENT_32) return true;
	return false;
}

function estimate(tracer: Tracer, pid: number): Estimate {
	const found = tracer.check(pid), reasons = reasonsAgainst(pid, found.reasons);
	const refused = reasons.length > 0;
	return {
		...found, reasons, unseen: [], disturbance: null, growthKib: 0, pauseNs: refused ? null : 0,
		threads: refused ? 0 : readdirSync(`/proc/${pid}/task`).length,
		residentKib: refused ? 0 : countersOf(pid).residentKiB,
	};
}

export const mechanism: Mechanism = {
	name: 'live',
	order: 6,
	title: 'read as it runs, NOT of one moment: nothing is stopped',
	description: 'its memory read while it runs, NOT as of one moment; it is not stopped, traced or copied, so that ' +
		'no registers are read',
	duplicates: false,
	forked: false,
	keepsShared: false,
	allFlags: true,
	ofOneMoment: false,
	cooperative: false,
	notForEvidence: null,
	unavailable: () => (process.arch === 'x64' ? null : `it knows x86-64 only, this machine is ${process.arch}`),
	estimate,
	open: (tracer, { pid }) => {
		const begunNs = Number(nowNs());
		const [against] = reasonsAgainst(pid, tracer.check(pid).reasons);
		if (against !== undefined) throw new ProcsnapError(against.code ?? 'EINVAL', against.text);
		const thread = livingThread(pid), image = new LiveImage(tracer, pid, thread);
		return {
			figures: { takeNs: Number(nowNs()) - begunNs, pauseNs: 0, calls: null },
			pid: 0,
			read: readBy(tracer, thread),
			image: () => image,
			end: () => {
				image.close();
				return { ...NOTHING_DONE };
			},
		};
	},
};
