/** A core keeps the rules of ELF, as readelf and elfutils know them, and is no larger than what the process has. */
import test, { type ExecutionContext } from 'ava';
import { readFileSync } from 'node:fs';
import type { Target } from '../native/help.ts';
import { testUnless } from '../unless.ts';
import { CoreFile } from './core-file.ts';
import { noTools, run, startTarget, takeEvidence, type Evidence } from './help.ts';
import { FUNCTIONS, startStacks } from './stacks.ts';

const PAGE = 4096, MIB = 1 << 20;

function obeysTheRules(t: ExecutionContext, { core: path, manifest }: Evidence): CoreFile {
	const core = CoreFile.open(t, path);
	t.true(core.loads.length > 10);
	t.is(core.bytes, manifest.core.bytes);
	let [address, offset] = [0, 0];
	for (const load of core.loads) {
		const where = `the segment at 0x${load.start.toString(16)}`;
		t.true(load.fileBytes > 0, where);
		t.is(load.memoryBytes, load.fileBytes, where);
		t.is(load.paddr, load.start, `${where}: Volatility 3 lays its layer by p_paddr`);
		t.true(load.start >= address && load.offset >= offset, `${where} overlaps the one before it`);
		t.is(load.start % PAGE, 0, where);
		t.is(load.offset % PAGE, 0, where);
		address = load.start + load.fileBytes;
		offset = load.offset + load.fileBytes;
	}
	t.is(offset, core.bytes, 'the last segment ends with the file');
	return core;
}

/** NT_X86_XSAVE_LAYOUT is younger than binutils 2.40, and what is procsnap's own they cannot know: RAWX and RAWL. */
const UNKNOWN_TO_READELF =
	/^ +(?:LINUX +\w+\tUnknown note type: \(0x0*205\)|procsnap +\w+\tUnknown note type: \(0x524157(?:58|4c)\))\s/;

testUnless(noTools('readelf'))('readelf reads headers, segments and notes, and warns of nothing', async (t) => {
	const target = await startStacks(t);
	const { core } = await takeEvidence(t, target.pid);
	const { status, stdout, stderr } = run('readelf', ['-hlnW', core]);
	t.deepEqual([status, stderr], [0, '']);
	t.notRegex(
		stdout.split('\n').filter((line) => !UNKNOWN_TO_READELF.test(line)).join('\n'), /warning|error|unknown|corrupt/i
	);
	t.regex(stdout, /^ +Type: +CORE \(Core file\)$/m);
	const counts = Object.fromEntries(['PRSTATUS', 'FPREGSET', 'X86_XSTATE', 'PRPSINFO', 'SIGINFO', 'AUXV', 'FILE']
		.map((name) => [name, [...stdout.matchAll(new RegExp(`NT_${name} `, 'g'))].length]));
	t.deepEqual(counts, { PRSTATUS: 6, FPREGSET: 6, X86_XSTATE: 6, PRPSINFO: 1, SIGINFO: 1, AUXV: 1, FILE: 1 });
});

/** The same of elfutils 0.188, in decimal. */
const UNKNOWN_TO_EU_READELF = /^ +(?:LINUX +\d+ +<unknown>: 517|procsnap +\d+ +<unknown>: (?:1380013912|1380013900))$/;
/**
 * elflint does not know NT_SIGINFO, NT_FILE, NT_X86_XSTATE and NT_X86_XSAVE_LAYOUT, in the kernel's own cores
 * neither.
 */
const UNKNOWN_TO_ELFLINT =
	/^phdr\[0\]: unknown core file note type (?:1397311305|1179208773|514|517|1380013912|1380013900) at offset \d+$|^No errors$|^$/;

testUnless(noTools('eu-readelf', 'eu-elflint'))('elfutils read it, and warn of nothing', async (t) => {
	const target = await startStacks(t);
	const { core } = await takeEvidence(t, target.pid);
	const { status, stdout, stderr } = run('eu-readelf', ['-hln', core]);
	t.deepEqual([status, stderr], [0, '']);
	t.notRegex(
		stdout.split('\n').filter((line) => !UNKNOWN_TO_EU_READELF.test(line)).join('\n'), /<unknown>|invalid|INVALID/
	);
	t.regex(stdout, new RegExp(`pid: ${target.pid}, ppid: ${process.pid}, `));
	t.regex(stdout, /fname: stacks,?\s+psargs: /);
	t.is([...stdout.matchAll(/fs\.base: +0x0*[1-9a-f]/g)].length, FUNCTIONS.length);
	const lint = run('eu-elflint', ['--gnu-ld', core]);
	t.deepEqual(`${lint.stdout}${lint.stderr}`.split('\n').filter((line) => !UNKNOWN_TO_ELFLINT.test(line)), []);
});

test('segments do not overlap, and lie where the table says', async (t) => {
	const target = await startStacks(t);
	obeysTheRules(t, await takeEvidence(t, target.pid));
});

/** What smaps says that the process has, and what is taken besides: of files, and the vDSO. */
function populatedBytes(target: Target, { manifest }: Evidence): number {
	const smaps = readFileSync(`/proc/${target.pid}/smaps`, 'utf8');
	const kib = [...smaps.matchAll(/^(?:Rss|Swap): +(\d+) kB$/gm)].reduce((sum, [, value]) => sum + Number(value), 0);
	const besides = manifest.regions.filter(({ file, name }) => file !== null || name === '[vdso]')
		.reduce((sum, { bytes }) => sum + bytes, 0);
	return kib * 1024 + besides;
}

for (const [what, step] of [['one piece', 1], ['every 9th page', 9]] as const) {
	test(`1 GiB reserved and 10 MiB touched, ${what}: a core of 10 MiB`, async (t) => {
		const target = await startTarget(t, 'reserve', 1024, 10, step);
		const evidence = await takeEvidence(t, target.pid);
		const core = obeysTheRules(t, evidence);
		const head = core.loads[0]!.offset;
		t.true(core.bytes - head <= populatedBytes(target, evidence), `${core.bytes - head} bytes`);
		t.true(core.bytes < 14 * MIB && core.bytes > 10 * MIB, `${core.bytes} bytes`);
		const taken = core.parts(target.number(1), target.number(1) + 1024 * MIB).filter(({ load }) => load !== null);
		t.is(taken.reduce((sum, { start, end }) => sum + end - start, 0), 10 * MIB, 'just the pages that were touched');
		t.true(taken.every(({ start, end }) => core.read(start, end - start).every((byte) => byte !== 0)));
	});
}
