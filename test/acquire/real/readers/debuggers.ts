/** gdb and lldb: threads, where each is, its registers, the libraries. */
import { countersOf, faultsOf, linesOf, type Frame } from './traces.ts';
import { askedFaults, ran } from './running.ts';
import type { Reader } from './types.ts';

/** Of both, where they could not read what they wanted. */
const TROUBLE = /Cannot access memory|truncated|not in executable format|Failed to read|mismatch|corrupt stack|warning: (?!Can't open file(?:.*\(deleted\)| file anon_inode)|Unable to find libthread_db).*/gi;

const GDB_TRACE = 'thread apply all -s backtrace 100';
const VECTORS = Array.from({ length: 16 }, (_, i) => `$ymm${i}.v4_int64`).join(', ');

export const gdb: Reader = {
	name: 'gdb', needs: { gdb: 'gdb' },
	async read(core, program) {
		const commands = program.asks?.['gdb']?.commands ?? [];
		const { text } = await ran('gdb', [
			'-nx', '-batch', '-iex', 'set debuginfod enabled off', '-iex', 'set auto-load off', '-iex', 'set width 0',
			...(program.root === undefined ? [] : ['-iex', `set sysroot ${program.root}`]),
			...[
				'set print frame-info location-and-address', 'set print frame-arguments none', GDB_TRACE,
				'echo \\n:registers\\n', 'thread apply all -s info registers',
				`thread apply all -s print/x {${VECTORS}}`,
				'echo \\n:libraries\\n', 'info sharedlibrary', 'info auxv', 'echo \\n:asked\\n', ...commands,
			].flatMap((command) => ['-ex', command]), program.executable, core.path,
		]);
		const [traced = '', registers = '', libraries = '', asked = ''] = text.split(/^:\w+$/m);
		const traces = new Map(byThread(traced).map(([tid, part]) => [tid, framesOf(part)]));
		const lacking = /^0x.* No .*|.* No +\/.*$/m.exec(libraries)?.[0];
		return {
			traces: countersOf(traces), detail: detailOf(traces),
			said: [
				...linesOf(traces), ...byThread(registers).map(([tid, part]) => `${tid} ${part}`).sort(),
				...libraries.split('\n').filter((line) => line.startsWith('0x') || /^\d+ +AT_/.test(line)),
			],
			faults: [
				...faultsOf(traces, core, program), ...(text.match(TROUBLE) ?? []).slice(0, 2),
				...(lacking === undefined ? [] : [`a library without symbols: ${lacking}`]),
				...askedFaults('gdb', asked, program),
			],
		};
	},
};

/** What `thread apply all` says, by thread id. */
function byThread(text: string): Array<[number, string]> {
	const parts = text.split(/^Thread \d+ \(.*?(?:LWP|process) (\d+)\)+:$/m);
	return Array.from({ length: (parts.length - 1) / 2 }, (_, i) => [Number(parts[2 * i + 1]), parts[2 * i + 2] ?? '']);
}

const framesOf = (text: string): Frame[] =>
	[...text.matchAll(/^#\d+ +(0x[0-9a-f]+) in (.+?) ?\(/gm)].map(([, pc = '', name = '']) => ({ pc, name }));

const detailOf = (traces: ReadonlyMap<number, Frame[]>): string =>
	`${traces.size} threads, ${[...traces.values()].reduce((sum, frames) => sum + frames.length, 0)} frames`;

export const lldb: Reader = {
	name: 'lldb', needs: { lldb: 'lldb' },
	async read(core, program) {
		const commands = ['thread list', 'bt all', 'image list -f', ...program.asks?.['lldb']?.commands ?? []];
		const { text } = await ran('lldb', [
			'--no-lldbinit', '--batch', '-o', 'settings set use-color false',
			...(program.root === undefined ? [] : ['-o', `platform select --sysroot ${program.root} remote-linux`]),
			'-o', `target create ${quoted(program.executable)} --core ${quoted(core.path)}`,
			...commands.flatMap((command) => ['-o', command]),
		]);
		const tids = new Map([...text.matchAll(/^\*? +thread #(\d+): tid = (\d+)/gm)].map(([, n, tid]) => [n, Number(tid)]));
		const parts = (text.split('(lldb) bt all')[1] ?? '').split(/^\*? *thread #(\d+)(?=,|$)/m);
		const traces = new Map(Array.from({ length: (parts.length - 1) / 2 }, (_, i): [number, Frame[]] => [
			tids.get(parts[2 * i + 1] ?? '') ?? 0,
			[...(parts[2 * i + 2] ?? '').matchAll(/^ +\*? *frame #\d+: (0x[0-9a-f]+)(?: [^`\n]*`([\w.:~$]*))?/gm)]
				.map(([, pc = '', name = '']) => ({ pc, name })),
		]));
		return {
			traces: countersOf(traces), detail: detailOf(traces),
			said: linesOf(traces),
			faults: [
				...faultsOf(traces, core, program), ...(text.match(/^error: .*/gm) ?? []).slice(0, 2),
				...askedFaults('lldb', text, program),
			],
		};
	},
};

const quoted = (path: string): string => `"${path}"`;
