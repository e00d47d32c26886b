/** The readers but for debuggers: elfutils, YARA, OpenJDK's and Go's own. */
import { closeSync, mkdtempSync, openSync, readSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gdb, lldb } from './debuggers.ts';
import { askedFaults, ran } from './running.ts';
import { countersOf, faultsOf, linesOf, type Frame } from './traces.ts';
import type { Reader } from './types.ts';

/** elfutils 0.188 does not know NT_X86_XSAVE_LAYOUT (517), nor what is procsnap's own, RAWX and RAWL, or gdb's. */
const UNKNOWN = /^ +(?:LINUX +\d+ +<unknown>: 517|procsnap +\d+ +<unknown>: (?:1380013912|1380013900)|GDB +\d+ +<unknown>: 4278190080)$/;

const euReadelf: Reader = {
	name: 'eu-readelf', needs: { 'eu-readelf': 'elfutils' },
	async read({ path, threads }) {
		const { code, text, stderr } = await ran('eu-readelf', ['-hln', path]);
		const count = [...text.matchAll(/^ +CORE +\d+ +PRSTATUS$/gm)].length;
		const [least, most] = [threads.least.length, threads.most.length];
		const strange = text.split('\n').find((line) => /<unknown>|invalid|INVALID/.test(line) && !UNKNOWN.test(line));
		return {
			said: (text.match(/^ {6}[0-9a-f]+-[0-9a-f]+ [0-9a-f]+ \d+ .*$/gm) ?? []).sort(),
			detail: `${count} threads, ${text.match(/^ +LOAD /gm)?.length} segments`,
			faults: [
				...(code === 0 && stderr === '' ? [] : [`exit code ${code}: ${stderr.split('\n')[0]}`]),
				...(count >= least && count <= most ? [] : [`${count} threads instead of ${least}`]),
				...(strange === undefined ? [] : [strange.trim()]),
			],
		};
	},
};

const euStack: Reader = {
	name: 'eu-stack', needs: { 'eu-stack': 'elfutils' },
	async read(core, program) {
		const { text } = await ran('eu-stack', ['-n', '100', `--core=${core.path}`, `--executable=${program.executable}`]);
		const parts = text.split(/^TID (\d+):$/m);
		const traces = new Map(Array.from({ length: (parts.length - 1) / 2 }, (_, i): [number, Frame[]] => [
			Number(parts[2 * i + 1]),
			[...(parts[2 * i + 2] ?? '').matchAll(/^#\d+ +(0x[0-9a-f]+)(?: - 1)?(?: +([^\s(@]*))?/gm)]
				.map(([, pc = '', name = '']) => ({ pc, name })),
		]));
		return {
			traces: countersOf(traces), said: linesOf(traces), faults: faultsOf(traces, core, program),
			detail: `${traces.size} threads`,
		};
	},
};

/** Each place where YARA finds the text is one where the process has it. */
const yara: Reader = {
	name: 'yara', needs: { yara: 'yara' },
	async read({ path, addressAt }, { pid, text }) {
		const folder = mkdtempSync(join(tmpdir(), 'procsnap-rules-'));
		try {
			const rules = join(folder, 'rules.yar');
			writeFileSync(rules, `rule known { strings: $text = ${JSON.stringify(text)} condition: $text }\n`);
			const { stdout, stderr } = await ran('yara', ['-s', rules, path]);
			const offsets = [...stdout.matchAll(/^(0x[0-9a-f]+):\$text: /gm)].map(([, offset]) => Number(offset));
			const addresses = offsets.map(addressAt);
			const right = addresses
				.filter((address) => address !== null && memoryAt(pid, address, text.length) === text);
			return {
				said: addresses.map(String).sort(), detail: `${right.length} of ${offsets.length} places`,
				faults: [
					...(stderr === '' ? [] : [stderr]),
					...(right.length > 0 ? [] : [
						`found at ${offsets.length} offsets, none of which is of an address where the process has it`,
					]),
				],
			};
		} finally {
			rmSync(folder, { recursive: true });
		}
	},
};

function memoryAt(pid: number, address: number, bytes: number): string {
	const memory = openSync(`/proc/${pid}/mem`, 'r');
	try {
		const content = Buffer.alloc(bytes);
		readSync(memory, content, 0, bytes, address);
		return content.toString('latin1');
	} catch {
		return '';
	} finally {
		closeSync(memory);
	}
}

const jhsdb = (verb: string, ...options: string[]): Reader => {
	const name = ['jhsdb', verb, ...options].join(' ');
	return {
		name, needs: { jhsdb: 'openjdk-17-jdk-headless' }, only: ({ asks }) => asks?.[name] !== undefined,
		async read({ path }, program) {
			const { text } = await ran('jhsdb', [verb, ...options, '--exe', program.executable, '--core', path]);
			const trouble = /^.*(?:Exception|Error|cannot|Unable).*$/m.exec(text)?.[0];
			return {
				// Where it is: the process's id, and how long it took.
				said: text.split('\n').filter((line) => !line.includes('core')), detail: `${text.split('\n').length} lines`,
				faults: [...(trouble === undefined ? [] : [trouble]), ...askedFaults(name, text, program)],
			};
		},
	};
};

const dlv: Reader = {
	name: 'dlv', needs: { dlv: 'delve' }, only: ({ asks }) => asks?.['dlv'] !== undefined,
	async read({ path }, program) {
		const folder = mkdtempSync(join(tmpdir(), 'procsnap-dlv-'));
		try {
			const script = join(folder, 'commands');
			writeFileSync(script, [...program.asks?.['dlv']?.commands ?? [], 'exit', ''].join('\n'));
			const { text } = await ran('dlv', [
				'core', program.executable, path, '--init', script, '--allow-non-terminal-interactive=true',
			]);
			const trouble = /^.*(?:Command failed|could not|panic).*$/m.exec(text)?.[0];
			return {
				said: text.split('\n'), detail: /\[(\d+ goroutines)\]/.exec(text)?.[1] ?? '',
				faults: [...(trouble === undefined ? [] : [trouble]), ...askedFaults('dlv', text, program)],
			};
		} finally {
			rmSync(folder, { recursive: true });
		}
	},
};

export const READERS: readonly Reader[] = [
	euReadelf, euStack, gdb, lldb, yara, jhsdb('jstack'), jhsdb('jmap', '--heap'), jhsdb('jmap', '--histo'), dlv,
];
