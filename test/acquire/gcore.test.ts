/**
 * A core by gdb's gcore, which stops a process and reads it, is the measure: ours of the same still process has the
 * same in it.
 */
import type { ExecutionContext } from 'ava';
import { closeSync, openSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { state, until, type Target } from '../native/help.ts';
import { testUnless } from '../unless.ts';
import { CoreFile, NOTE } from './core-file.ts';
import { noTools, regionAt, run, takeEvidence, temporaryFolder, type Evidence } from './help.ts';
import { FUNCTIONS, rseqOf, startStacks, tidOf } from './stacks.ts';

const gcoreTest = testUnless(noTools('gcore', 'gdb'));

interface Cores { target: Target; evidence: Evidence; ours: CoreFile; theirs: CoreFile }

async function bothCores(t: ExecutionContext): Promise<Cores> {
	const target = await startStacks(t);
	process.kill(target.pid, 'SIGSTOP');
	await until('it is stopped', () => FUNCTIONS.every((_, n) => state(tidOf(target, n)) === 'T'));
	const evidence = await takeEvidence(t, target.pid);
	t.true(FUNCTIONS.every((_, n) => state(tidOf(target, n)) === 'T'), 'it is stopped as it was');
	const base = join(temporaryFolder(t), 'core');
	const { status, stderr } = run('gcore', ['-a', '-o', base, String(target.pid)]);
	t.is(status, 0, stderr);
	return {
		target, evidence, ours: CoreFile.open(t, evidence.core), theirs: CoreFile.open(t, `${base}.${target.pid}`),
	};
}

/** What a file has where the region shows it; zeros behind its end. */
function fileContent({ manifest }: Evidence, start: number, length: number): Buffer {
	const region = regionAt(manifest, start), bytes = Buffer.alloc(length);
	if (region?.file) {
		const fd = openSync(region.name, 'r');
		readSync(fd, bytes, 0, length, region.file.offset + start - Number(region.start));
		closeSync(fd);
	}
	return bytes;
}

/** [vsyscall] is no memory, and nobody can read it: gcore writes zeros. */
const USER_SPACE_END = 2 ** 47;

gcoreTest('gcore: the same memory; what ours has not is zeros, or the file\'s', async (t) => {
	const { target, evidence, ours, theirs } = await bothCores(t);
	// The kernel writes there on which CPU a thread goes on, and one had to make the duplicate.
	const own = FUNCTIONS.map((_, n) => rseqOf(target, n));
	const different: string[] = [];
	const sums = { same: 0, unpopulated: 0, file: 0 };
	for (const load of theirs.loads.filter(({ start }) => start < USER_SPACE_END)) {
		for (const { start, end, load: have } of ours.parts(load.start, load.start + load.fileBytes)) {
			const their = theirs.read(start, end - start);
			const our = have === null ? fileContent(evidence, start, end - start) : ours.read(start, end - start);
			for (const rseq of own.filter((each) => start <= each.start && each.end <= end)) {
				their.copy(our, rseq.start - start, rseq.start - start, rseq.end - start);
			}
			if (!our.equals(their))
				different.push(`${start.toString(16)}-${end.toString(16)} ${have === null ? 'not taken' : 'taken'}`);
			const missing = regionAt(evidence.manifest, start)?.file ? 'file' : 'unpopulated';
			sums[have !== null ? 'same' : missing] += end - start;
		}
	}
	t.deepEqual(different, []);
	t.log(`the same: ${sums.same} bytes; not populated: ${sums.unpopulated}; of files: ${sums.file}`);
	// Some of each, or this has shown nothing.
	t.true(sums.same > 512 << 10 && sums.unpopulated > 8 << 20 && sums.file > 64 << 10);
	const writable = evidence.manifest.regions.filter(({ permissions, capture }) =>
		permissions === 'rw-p' && capture === 'frozen');
	t.true(writable.length > 8);
	for (const { start, end, name } of writable)
		t.true(
			theirs.parts(Number(start), Number(end)).every(({ load }) => load !== null),
			`gcore has ${start} ${name} too`
		);
});

/** gdb does not keep which bits of MXCSR there are, and ours has them as the kernel gives them. */
const MXCSR_MASK = 28;
/**
 * Which parts of the XSAVE area are not as they are at the beginning. gdb says all; a part that is not among them has
 * to hold just that, and the bytes are compared.
 */
const XSTATE_BV = 512;
/** x87, SSE, AVX. Where later parts lie is the processor's choice, and gdb's idea of it is older. */
const AVX_END = 832;
/** In struct user_regs_struct. */
const RIP = 16;

gcoreTest('gcore: the same registers of all threads, the same auxiliary vector', async (t) => {
	const { target, ours, theirs } = await bothCores(t);
	const our = ours.threads(), their = theirs.threads();
	t.deepEqual([...our.keys()].sort(), FUNCTIONS.map((_, n) => tidOf(target, n)).sort());
	t.is([...our.keys()][0], target.pid, 'the first is first');
	for (const [tid, thread] of their) {
		const own = our.get(tid)!;
		t.deepEqual(own.general, thread.general, `all words of struct user_regs_struct of ${tid}`);
		t.not(own.general[RIP], 0n);
		for (const type of [NOTE.fpregset, NOTE.xstate]) {
			const [ourBytes, theirBytes] = [own, thread].map(({ notes }) =>
				Buffer.from(notes.get(type)!.subarray(0, AVX_END))) as [Buffer, Buffer];
			ourBytes.copy(theirBytes, MXCSR_MASK, MXCSR_MASK, MXCSR_MASK + 4);
			if (type === NOTE.xstate) {
				t.is(
					ourBytes.readUInt32LE(XSTATE_BV) & 7 & ~theirBytes.readUInt32LE(XSTATE_BV), 0,
					'gdb knows of all parts that are in use'
				);
				theirBytes.writeUInt32LE(ourBytes.readUInt32LE(XSTATE_BV), XSTATE_BV);
			}
			t.true(
				ourBytes.equals(theirBytes),
				`note ${type} of thread ${tid}: ` +
					[...ourBytes.keys()].filter((i) => ourBytes[i] !== theirBytes[i]).join(' ')
			);
		}
	}
	const only = (core: CoreFile, type: number): Buffer => {
		const found = core.notes.filter((note) => note.type === type);
		t.is(found.length, 1);
		return found[0]!.content;
	};
	t.deepEqual(only(ours, NOTE.auxv), only(theirs, NOTE.auxv));
	// Of struct elf_prpsinfo: pid and ppid, pgrp, sid; name of the program, arguments.
	for (const [start, end] of [[24, 40], [40, 56], [56, 136]] as const) {
		t.deepEqual(
			only(ours, NOTE.prpsinfo).subarray(start, end), only(theirs, NOTE.prpsinfo).subarray(start, end),
			`prpsinfo, ${start}`
		);
	}
});
