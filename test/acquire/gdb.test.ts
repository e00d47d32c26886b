/** gdb opens a core that was taken of a running process, and finds all threads where they were, with what they had. */
import type { ExecutionContext } from 'ava';
import { testUnless } from '../unless.ts';
import type { Target } from '../native/help.ts';
import { acquireProgram, noTools, run, takeEvidence, type Evidence } from './help.ts';
import { FUNCTIONS, fsBaseOf, gsBaseOf, hasAvx, id, KEPT, mark, startStacks, tidOf, ymm } from './stacks.ts';

const gdbTest = testUnless(noTools('gdb'));
const program = acquireProgram('stacks');

/**
 * Shared memory has a name and no file of that name, in the kernel's own cores too; and sources of libc are nowhere.
 */
const HARMLESS = /^warning: Can't open file .+ \(deleted\) during|: No such file or directory\.$|^$/;

/** What gdb prints; it must warn of nothing. */
function gdb(t: ExecutionContext, args: string[], ...commands: string[]): string {
	const { status, stdout, stderr } = run(
		'gdb', ['-nx', '-batch', ...commands.flatMap((command) => ['-ex', command]), ...args]
	);
	t.deepEqual([status, stderr.split('\n').filter((line) => !HARMLESS.test(line))], [0, []], 'nothing to warn of');
	return stdout;
}

const ask = (t: ExecutionContext, { core }: Evidence, ...commands: string[]): string =>
	gdb(t, [program, core], ...commands);

/** What `thread apply all COMMAND` says, by thread id. */
function askAll(t: ExecutionContext, evidence: Evidence, command: string): (tid: number) => string {
	const parts = ask(t, evidence, `thread apply all ${command}`).split(/^Thread \d+ \(.*LWP (\d+)\)\):\n/m);
	return (tid) => parts[parts.indexOf(String(tid), 1) + 1] ?? '';
}

/** `name   0x12   ...` of `info registers`. */
const register = (text: string, name: string): string | undefined =>
	new RegExp(`^${name} +(0x[0-9a-f]+) `, 'm').exec(text)?.[1];
const hex = (value: number | bigint): string => `0x${value.toString(16)}`;
const pattern = (text: string): string => text.replace(/[^\w]/g, '\\$&');

async function stacksAndEvidence(t: ExecutionContext): Promise<{ target: Target; evidence: Evidence }> {
	const target = await startStacks(t);
	await mark(target, 4711);
	const evidence = await takeEvidence(t, target.pid);
	await mark(target, 4712);	// it goes on
	return { target, evidence };
}

gdbTest('gdb: the functions of six threads, one of them spinning, and variables as of the moment', async (t) => {
	const { target, evidence } = await stacksAndEvidence(t);
	const listed = ask(t, evidence, 'info threads');
	const tids = [...listed.matchAll(/^[* ] +\d+ +.*LWP (\d+)\)/gm)].map(([, tid]) => Number(tid));
	const byNumber = (a: number, b: number): number => a - b;
	t.deepEqual(tids.sort(byNumber), FUNCTIONS.map((_, n) => tidOf(target, n)).sort(byNumber));
	t.regex(
		listed, new RegExp(`^\\* +1 .*LWP ${target.pid}\\)`, 'm'), 'the first thread is the one that gdb begins with'
	);

	const traceOf = askAll(t, evidence, 'bt');
	FUNCTIONS.forEach((functions, n) => {
		const trace = traceOf(tidOf(target, n));
		const found = [...trace.matchAll(/^#\d+ +(?:0x[0-9a-f]+ in )?(\S+) \(/gm)].map(([, name]) => name ?? '');
		// How libc calls its own parts inside depends on whether its debugging symbols are there.
		t.deepEqual(found.filter((name) => FUNCTIONS.flat().includes(name)), functions, trace);
		t.regex(
			found[0] ?? '',
			[/pause$/, /nanosleep/, /^spins$/, /futex|pthread_cond_wait/, /read$/, /^holds_in_call$/][n] ?? /never/,
			trace
		);
		t.regex(found.at(-1) ?? '', n === 0 ? /^(main|_start)$/ : /clone/, 'to the end of the stack');
	});
	t.regex(traceOf(tidOf(target, 3)), /pthread_cond_wait/);
	t.regex(
		traceOf(tidOf(target, 1)), /sleeps_inner \(depth=.*3\) at .*\n.*sleeps_middle \(depth=.*2\) at /, 'arguments'
	);

	const values = 'marker, library_value, records->name, records->next->next->name, records->next->next->next';
	t.regex(
		ask(t, evidence, `printf "%ld %lx %s, %s, %p\\n", ${values}`),
		new RegExp(`^4711 ${id(3).toString(16)} record 2, record 0, \\(nil\\)$`, 'm')
	);
});

gdbTest('gdb: registers of all threads: general, bases of segments, x87, SSE and AVX', async (t) => {
	const { target, evidence } = await stacksAndEvidence(t);
	const generalOf = askAll(t, evidence, 'info registers');
	const othersOf = askAll(t, evidence, 'info registers fs_base gs_base mxcsr st0');
	const valueOf = askAll(t, evidence, 'print/x own_value');
	FUNCTIONS.forEach((_, n) => {
		const tid = tidOf(target, n), general = `${generalOf(tid)}${othersOf(tid)}`;
		t.deepEqual(
			['fs_base', 'gs_base', 'cs', 'ss'].map((name) => register(general, name)),
			[hex(fsBaseOf(target, n)), hex(gsBaseOf(n)), '0x33', '0x2b'], `thread ${n}`
		);
		t.regex(valueOf(tid), new RegExp(`= ${hex(id(n))}\n`), 'a thread-local variable');
	});
	for (const [n, kept] of KEPT) {
		for (const [name, offset] of Object.entries(kept)) {
			t.is(register(generalOf(tidOf(target, n)), name), hex(id(n) + BigInt(offset)), `${name} of thread ${n}`);
		}
		t.regex(othersOf(tidOf(target, n)), /^mxcsr +0x9fc0 .*\nst0 +3\.14159265358979/m);
	}
	t.regex(generalOf(tidOf(target, 2)), /^rip .*<spins\+/m);
	if (!hasAvx(target)) {
		t.log('the AVX registers were not looked at: this processor has none');
		return;
	}
	const names = Array.from({ length: 16 }, (_, k) => `$ymm${k}.v4_int64`);
	const vectorsOf = askAll(t, evidence, `print/x {${names.join(', ')}}`);
	for (const [n] of KEPT) {
		const words = names.map((_, k) => `{${ymm(n, k).map(hex).join(', ')}}`);
		t.true(vectorsOf(tidOf(target, n)).includes(`= {${words.join(', ')}}`), vectorsOf(tidOf(target, n)));
	}
});

gdbTest('gdb: libraries, mappings, auxiliary vector, vDSO; and the core without its program', async (t) => {
	const { evidence } = await stacksAndEvidence(t);
	const libraries = ask(t, evidence, 'info sharedlibrary', 'info symbol library_waits');
	for (const name of ['libstacks.so', 'libc.so.6', 'ld-linux-x86-64.so.2']) {
		t.regex(libraries, new RegExp(`^0x[0-9a-f]+ +0x[0-9a-f]+ +Yes (?:\\(\\*\\))? +.*/${pattern(name)}$`, 'm'));
	}
	t.notRegex(libraries, / No /);
	t.regex(libraries, /^library_waits in section \.text of .*libstacks\.so$/m);

	const mappings = ask(t, evidence, 'info proc mappings');
	const files = evidence.manifest.regions.filter((region) => region.file !== null);
	t.true(files.length > 10);
	for (const { start, end, file, name } of files) {
		t.regex(mappings, new RegExp(`^ +${start} +${end} .* ${hex(file?.offset ?? -1)} +${pattern(name)}$`, 'm'));
	}
	const auxiliary = ask(t, evidence, 'info auxv');
	t.regex(auxiliary, /^6 +AT_PAGESZ .* 4096$/m);
	t.regex(auxiliary, new RegExp(`^31 +AT_EXECFN .*"${pattern(program)}"$`, 'm'), 'a string on the stack');
	const vdso = /^33 +AT_SYSINFO_EHDR .* (0x[0-9a-f]+)$/m.exec(auxiliary)?.[1] ?? '';
	t.regex(ask(t, evidence, `x/4xb ${vdso}`), /:\t0x7f\t0x45\t0x4c\t0x46/, 'the vDSO');

	const alone = gdb(t, ['-c', evidence.core], 'info threads', 'info proc');
	t.regex(alone, new RegExp(`^Core was generated by \`${pattern(program)}'\\.$`, 'm'));
	t.regex(alone, new RegExp(`^exe = '${pattern(program)}'$`, 'm'));
	t.is([...alone.matchAll(/^[* ] +\d+ +.*LWP \d+/gm)].length, FUNCTIONS.length);
});
