/**
 * Evaluation 3 (section 5.4, tables 6 and 7): reading the copy's memory.
 *
 * As the paper: 1, 64 and 256 KB of bash's text, by open, lseek, read and close
 * of /proc/PID/mem each time, and by PTRACE_PEEKTEXT; and how many system calls
 * each takes, counted. Beyond it: every way, up to 64 MB, as bandwidth against
 * memcpy() in the same run.
 */
import { colourScale } from '../report/palette.ts';
import { WAYS, type Way } from '../../native/index.ts';
import { startShell } from '../targets/shell.ts';
import { programPath, readRegions } from '../targets/program.ts';
import { placement, Workload } from '../targets/workload.ts';
import type {
	Mechanism, Claim, Experiment, Json, Lab, Paper, ProfileName, Results, Session, Table, Variant,
} from '../types.ts';
import { KIB, levels, medianPoints, of, ratio, roundsOf, size, US } from './shared/figures.ts';
import { mechanismOf } from './shared/mechanism.ts';

const TEXT_KIB = [1, 64, 256];
const PAPER_WAYS: Way[] = ['proc-mem-paper', 'peek'];
/**
 * Sizes in KiB with their rounds; PEEKTEXT takes 1.3 µs a word, so it gets few of the large ones, and not the
 * largest.
 */
const SIZES: Record<ProfileName, Record<number, number>> = {
	paper: { 1: 1000, 4: 1000, 64: 1000, 256: 500, 1024: 300, 4096: 100, 16384: 50, 65536: 30 },
	smoke: { 1: 30, 64: 30, 1024: 20, 4096: 10 },
};
const PEEK_ROUNDS: Record<number, number> = { 1: 200, 4: 200, 64: 50, 256: 20, 1024: 10, 4096: 4, 16384: 2 };
const REGION_MIB = 72;
/** System calls of x86-64 that a way may make: asm/unistd_64.h. */
const CALLS = new Map([
	[0, 'read'], [3, 'close'], [8, 'lseek'], [17, 'pread64'], [101, 'ptrace'], [257, 'openat'],
	[310, 'process_vm_readv'],
]);

/** PEEKTEXT takes a system call a word: where instructions are emulated, a round of more than this takes minutes. */
const LARGEST_EMULATED_PEEK_KIB = 64;

const hints = ({ way, sizeKiB }: { way: Way; sizeKiB: number }): Pick<Variant, 'tooSlowEmulated'> =>
	({ tooSlowEmulated: way === 'peek' && sizeKiB > LARGEST_EMULATED_PEEK_KIB });

const inBlocks = (rounds: number): Pick<Variant, 'rounds' | 'warmupRounds' | 'blockRounds'> =>
	({ rounds, warmupRounds: 1, blockRounds: Math.ceil(rounds / (rounds >= 100 ? 4 : 1)) });

function sizeVariants(profile: ProfileName, mechanism: string): Variant[] {
	return Object.entries(SIZES[profile]).flatMap(([kib, most]) => WAYS.flatMap((way): Variant[] => {
		const rounds = way === 'peek' ? Math.min(most, PEEK_ROUNDS[Number(kib)] ?? 0) : most;
		const factors = { mechanism, target: 'resident', way, sizeKiB: Number(kib) };
		return rounds === 0 ? [] : [{ id: `${way} size=${kib}KiB`, factors, ...inBlocks(rounds), ...hints(factors) }];
	}));
}

/** The address of `length` bytes of the program's own code. */
function textAddress(pid: number, length: number): bigint {
	const program = programPath(pid);
	const text = readRegions(pid).find(({ permissions, name }) => permissions.startsWith('r-x') && name === program);
	if (text === undefined || text.end - text.start < BigInt(length))
		throw new Error(`${program} (${pid}) has no ${length} bytes of text in one region`);
	return text.start;
}

function countCalls(lab: Lab, way: Way, length: number): Record<string, number> {
	return Object.fromEntries([...lab.tracer.countCalls(way, length)].map(([number, count]) =>
		[CALLS.get(number) ?? `call ${number}`, count]));
}

async function open({ factors }: Variant, lab: Lab): Promise<Session> {
	const way = factors.way as Way;
	const length = Number(factors.sizeKiB) * KIB;
	const mechanism = mechanismOf({ factors }, lab);
	const target = factors.target === 'bash'
		? await startShell(lab)
		: await Workload.start('resident', ['--rss', `${REGION_MIB}M`, '--pages', '4k', ...placement(lab)]);
	// Counting stops the reader at each of its calls: of 64 MiB by PEEKTEXT, that would take minutes.
	const facts: Record<string, Json> = factors.target === 'bash' ? { calls: countCalls(lab, way, length) } : {};
	const address = target instanceof Workload ? target.regionAddress : textAddress(target.pid, length);
	const still = mechanism.open(lab.tracer, target);
	return {
		round: () => {
			const { ns, bytes } = lab.tracer.read(way, still.pid, address, length);
			if (bytes !== length) throw new Error(`${bytes} of ${length} bytes were read`);
			return { readNs: ns, bytesPerSecond: (length / ns) * 1e9 };
		},
		facts: () => facts,
		close: async () => {
			still.end();
			await target.close();
		},
	};
}

/** Reading a duplicate does not depend on how it came to be: the first mechanism that can duplicate any process. */
const firstDuplicating = (mechanisms: Mechanism[]): Mechanism | undefined =>
	mechanisms.find(({ duplicates, cooperative }) => duplicates && !cooperative);

export const experiment: Experiment = {
	name: 'read',
	order: 3,
	title: 'Reading memory',
	question: 'How fast can the copy be read, in which way, and how near is that to copying memory within one process?',
	metrics: {
		readNs: { title: 'One read', unit: 'ns' },
		bytesPerSecond: { title: 'Bandwidth', unit: 'bytes/s' },
	},
	variants: (profile, mechanisms) => {
		const mechanism = firstDuplicating(mechanisms)?.name;
		if (mechanism === undefined) return [];
		const text = TEXT_KIB.flatMap((sizeKiB) => PAPER_WAYS.map((way): Variant => ({
			id: `${way} bash text=${sizeKiB}KiB`, factors: { mechanism, target: 'bash', way, sizeKiB },
			...inBlocks(profile === 'paper' ? 1000 : 20), ...hints({ way, sizeKiB }),
		})));
		return [...text, ...sizeVariants(profile, mechanism)];
	},
	open,
	tables: (results, paper) => [tableSix(results, paper), tableSeven(results, paper), bandwidth(results)],
	charts: (results) => {
		const rows = medianPoints(results.where({ target: 'resident' }), 'bytesPerSecond', 1e9);
		const y = { type: 'quantitative' as const, scale: { type: 'log' as const }, title: 'GB/s' };
		return [{
			name: 'read',
			title: 'Bandwidth of reading a copy, by size of one read',
			caption: 'Medians with their 95 % intervals, both axes logarithmic. memcpy is the floor: as many bytes ' +
				'copied within one process.',
			spec: {
				data: { values: rows },
				encoding: {
					x: {
						field: 'sizeKiB', type: 'quantitative',
						scale: { type: 'log', base: 2, nice: false, padding: 12 }, title: 'one read (KiB)',
						axis: {
							values: levels(results, 'sizeKiB').filter((each) =>
								results.where({ target: 'resident', sizeKiB: each }).length > 0) as number[],
						},
					},
					color: { field: 'way', type: 'nominal', scale: colourScale(WAYS), title: null },
				},
				layer: [
					{ mark: 'rule', encoding: { y: { ...y, field: 'low' }, y2: { field: 'high' } } },
					{ mark: 'line', encoding: { y: { ...y, field: 'median' } } },
					{ mark: 'point', encoding: { y: { ...y, field: 'median' } } },
				],
			},
		}];
	},
	claims,
};

const bashWay = (results: Results, way: Way, sizeKiB: number) => results.where({ target: 'bash', way, sizeKiB })[0];

function tableSix(results: Results, { table6 }: Paper): Table {
	return {
		name: 'table-6',
		title: 'Table 6: time to read a part of bash\'s text, mean',
		columns: [
			{ key: 'size', title: 'size', unit: 'KiB' }, { key: 'read', title: 'read()', unit: 'us' },
			{ key: 'ptrace', title: 'ptrace()', unit: 'us' }, { key: 'ratio', title: 'ratio', unit: 'ratio' },
			{ key: 'n', title: 'n', unit: 'count' },
			{ key: 'paperRead', title: 'read()', unit: 'us', paper: true },
			{ key: 'paperPtrace', title: 'ptrace()', unit: 'us', paper: true },
			{ key: 'paperRatio', title: 'ratio', unit: 'ratio', paper: true },
		],
		rows: table6.rows.map(({ sizeKiB, readMeanUs, ptraceMeanUs, ptraceToReadRatio }) => {
			const read = of(bashWay(results, 'proc-mem-paper', sizeKiB), 'readNs', 'mean', US);
			const ptrace = of(bashWay(results, 'peek', sizeKiB), 'readNs', 'mean', US);
			return {
				size: sizeKiB, read, ptrace, ratio: ratio(ptrace, read),
				n: roundsOf(bashWay(results, 'peek', sizeKiB), 'readNs'), paperRead: readMeanUs,
				paperPtrace: ptraceMeanUs, paperRatio: ptraceToReadRatio,
			};
		}),
		notes: [
			'read(): open, lseek, read and close of /proc/PID/mem, each time. ptrace(): PTRACE_PEEKTEXT, 8 bytes a ' +
				'call. Both read the duplicate.',
		],
	};
}

function tableSeven(results: Results, { table7 }: Paper): Table {
	const names = ['openat', 'lseek', 'read', 'close', 'ptrace'] as const;
	return {
		name: 'table-7',
		title: 'Table 7: system calls of one read, counted',
		columns: [
			{ key: 'size', title: 'size', unit: 'KiB' },
			...names.map((name) =>
				({ key: name, title: name === 'openat' ? 'open()' : `${name}()`, unit: 'count' as const })),
			...names.map((name) =>
				({
					key: `paper-${name}`, title: name === 'openat' ? 'open()' : `${name}()`, unit: 'count' as const,
					paper: true,
				})),
		],
		rows: table7.rows.map((row) => {
			const read =
				bashWay(results, 'proc-mem-paper', row.sizeKiB)?.facts.calls as Record<string, number> | undefined;
			const peek = bashWay(results, 'peek', row.sizeKiB)?.facts.calls as Record<string, number> | undefined;
			return {
				size: row.sizeKiB,
				...Object.fromEntries(names.map((name) =>
					[name, name === 'ptrace' ? peek?.ptrace ?? null : read?.[name] ?? null])),
				'paper-openat': row.openCalls, 'paper-lseek': row.lseekCalls, 'paper-read': row.readCalls,
				'paper-close': row.closeCalls, 'paper-ptrace': row.ptraceCalls,
			};
		}),
		notes: [
			'Counted by an observer that stops the reader at each of its system calls, on the same code that is timed.',
		],
	};
}

function bandwidth(results: Results): Table {
	const sizes = [...new Set(results.where({ target: 'resident' }).map(({ factors }) => factors.sizeKiB as number))];
	return {
		name: 'read',
		title: 'Bandwidth of every way of reading, median',
		columns: [
			{ key: 'size', title: 'one read' }, ...WAYS.map((way) => ({ key: way, title: way, unit: 'GB/s' as const })),
			{ key: 'best', title: 'best to memcpy', unit: 'ratio' },
		],
		rows: sizes.map((sizeKiB) => {
			const speeds = Object.fromEntries(WAYS.map((way) =>
				[way, of(results.where({ target: 'resident', way, sizeKiB })[0], 'bytesPerSecond', 'median', 1e9)]));
			const ways = WAYS.filter((way) => way !== 'memcpy').map((way) => speeds[way] ?? 0);
			return { size: size(sizeKiB * KIB), ...speeds, best: ratio(Math.max(...ways), speeds.memcpy ?? null) };
		}),
		notes: [
			'From a duplicate of a process with 72 MiB of 4 KiB pages, into one buffer that is used again. GB/s are ' +
				'10⁹ bytes.',
			'proc-mem-paper opens /proc/PID/mem each time, proc-mem keeps it open; vm-readv is process_vm_readv(); ' +
				'memcpy copies within the reader.',
		],
	};
}

function claims(results: Results, { table6, table7 }: Paper): Claim[] {
	const rows = table6.rows.map(({ sizeKiB }) => {
		const read = of(bashWay(results, 'proc-mem-paper', sizeKiB), 'readNs', 'mean');
		return { sizeKiB, ratio: ratio(of(bashWay(results, 'peek', sizeKiB), 'readNs', 'mean'), read) };
	});
	const ratios = rows.map((row) => row.ratio);
	const known = ratios.every((each) => each !== null);
	const calls = table7.rows.map(({ sizeKiB }) =>
		(bashWay(results, 'peek', sizeKiB)?.facts.calls as Record<string, number> | undefined)?.ptrace ?? null);
	const written = rows.map((row) =>
		(row.ratio === null ? 'not measured' : `${row.ratio.toFixed(1)} × at ${row.sizeKiB} KiB`)).join(', ');
	return [{
		claim: 'Reading /proc/PID/mem is faster than PTRACE_PEEKTEXT',
		where: '5.4, table 6',
		paper: table6.rows.map((row) => `${row.ptraceToReadRatio} ×`).join(', '),
		here: written,
		holds: known ? ratios.every((each) => (each) > 1) : null,
	}, {
		claim: 'and the more so, the more is read',
		where: '5.4, table 6',
		paper: table6.rows.map((row) => `${row.ptraceToReadRatio} ×`).join(', '),
		here: written,
		holds: known ? ratios.every((each, i) => i === 0 || (each) > (ratios[i - 1] as number)) : null,
	}, {
		claim: 'because it takes one system call where ptrace takes one for every 8 bytes',
		where: '5.4, table 7',
		paper: table7.rows.map((row) => row.ptraceCalls.toLocaleString('en')).join(', '),
		here: calls.map((count) => (count === null ? 'not counted' : count.toLocaleString('en'))).join(', '),
		holds: calls.includes(null) ? null : calls.every((count, i) => count === table7.rows[i]?.ptraceCalls),
	}];
}
