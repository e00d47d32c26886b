/** The machine as far as it bears on the measurement. No host name: the manifest is published. */
import { cpus, hostname, release, totalmem, userInfo, version } from 'node:os';
import { readdirSync } from 'node:fs';
import type { Machine } from '../store/manifest.ts';
import { readEvidence, systemReader, type Reader } from './label.ts';

const VULNERABILITIES = '/sys/devices/system/cpu/vulnerabilities';

export function describeMachine(reader: Reader = systemReader): Machine {
	const evidence = readEvidence(reader);
	return {
		cpuModel: evidence.cpuModel ?? cpus()[0]?.model ?? 'unknown',
		cores: cpus().length,
		memoryBytes: totalmem(),
		hypervisorFlag: evidence.hypervisorFlag ?? false,
		kernel: {
			release: release(),
			version: version(),
			commandLine: withoutNames(text(reader, '/proc/cmdline') ?? ''),
		},
		mitigations: mitigations(reader),
		governor: text(reader, '/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor'),
		transparentHugePages: selected(text(reader, '/sys/kernel/mm/transparent_hugepage/enabled')),
		swapBytes: swapBytes(reader),
		clockSource: text(reader, '/sys/devices/system/clocksource/clocksource0/current_clocksource'),
		schedRtRuntimeUs: number(reader, '/proc/sys/kernel/sched_rt_runtime_us'),
		yamaPtraceScope: number(reader, '/proc/sys/kernel/yama/ptrace_scope'),
		overcommitMemory: number(reader, '/proc/sys/vm/overcommit_memory'),
	};
}

/** Kernel parameters that carry names or addresses lose their values, and so does any word that is one. */
export function withoutNames(commandLine: string, names = [hostname(), userName()]): string {
	return commandLine.split(' ').map((word) => {
		const [key = ''] = word.split('=', 1);
		const telling = /(?:^|[._-])(?:ip|nfsroot|hostname|user|key|token|passw(?:or)?d|secret)$/i.test(key);
		return (telling && word.includes('=')) || names.some((name) => holds(word, name))
			? `${key === word ? '' : `${key}=`}<left out>`
			: word;
	}).join(' ');
}

function holds(word: string, name: string): boolean {
	return name !== '' && word.split(/[^\w-]/).includes(name);
}

function userName(): string {
	try {
		const { username } = userInfo();
		return username === 'root' ? '' : username;
	} catch {
		return '';
	}
}

function text(reader: Reader, path: string): string | null {
	return reader.file(path)?.trim() ?? null;
}

function number(reader: Reader, path: string): number | null {
	const value = Number(text(reader, path) ?? Number.NaN);
	return Number.isFinite(value) ? value : null;
}

/** `always [madvise] never` to `madvise`. */
function selected(choices: string | null): string | null {
	return /\[(\w+)\]/.exec(choices ?? '')?.[1] ?? choices;
}

function swapBytes(reader: Reader): number {
	return Number(/^SwapTotal:\s*(\d+) kB$/m.exec(reader.file('/proc/meminfo') ?? '')?.[1] ?? 0) * 1024;
}

function mitigations(reader: Reader): Record<string, string> {
	let names: string[];
	try {
		names = readdirSync(VULNERABILITIES).sort();
	} catch {
		return {};
	}
	return Object.fromEntries(names.map((name) => [name, text(reader, `${VULNERABILITIES}/${name}`) ?? 'unknown']));
}
