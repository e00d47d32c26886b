/**
 * Evaluation 3 (section 5.4, tables 6 and 7): reading the copy's memory.
 *
 * As the paper: 1, 64 and 256 KB of bash's text, by open, lseek, read and close
 * of /proc/PID/mem each time, and by PTRACE_PEEKTEXT; and how many system calls
 * each takes, counted. Beyond it: every way, up to 64 MB, as bandwidth against
 * memcpy() in the same run.
 *
 * A round makes a duplicate of a target that has just written to all of its pages,
 * and reads it twice: the first read finds each page as the duplicate has it, the
 * second one finds what the first has changed (process_vm_readv() unshares what it
 * pins). Evidence is read once, so the first is what counts.
 */
import { colourScale } from '../report/palette.ts';
import { WAYS, type Way } from '../../native/index.ts';
import { dirtyFromOutside } from '../targets/dirtying.ts';
import { startShell } from '../targets/shell.ts';
import { programPath, readRegions } from '../targets/program.ts';
import { placement, Workload } from '../targets/workload.ts';
import type {
	Mechanism, Claim, Experiment, Json, Lab, Paper, ProfileName, Results, Session, Table, Variant,
} from '../types.ts';
import {
	between, KIB, levels, medianPoints, of, roundsOf, size, timesWithin, US, type Estimate,
} from './shared/figures.ts';
import { every, isAbove, ratioOf, type Verdict } from './shared/judging.ts';
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

/** Many short blocks, each with a target of its own. */
const BLOCKS: Record<ProfileName, number> = { paper: 20, smoke: 3 };
const inBlocks = (
	rounds: number, profile: ProfileName
): Pick<Variant, 'rounds' | 'warmupRounds' | 'blockRounds'> =>
	({ rounds, warmupRounds: 1, blockRounds: Math.ceil(rounds / BLOCKS[profile]) });

function sizeVariants(profile: ProfileName, mechanism: string): Variant[] {
	return Object.entries(SIZES[profile]).flatMap(([kib, most]) => WAYS.flatMap((way): Variant[] => {
		const rounds = way === 'peek' ? Math.min(most, PEEK_ROUNDS[Number(kib)] ?? 0) : most;
		const factors = { mechanism, target: 'resident', way, sizeKiB: Number(kib) };
		return rounds === 0 ? [] : [{ id: `${way} size=${kib}KiB`, factors, ...inBlocks(rounds, profile), ...hints(factors) }];
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
	const readOnce = (pid: number): number => {
		const { ns, bytes } = lab.tracer.read(way, pid, address, length);
		if (bytes !== length) throw new Error(`${bytes} of ${length} bytes were read`);
		return ns;
	};
	const speed = (ns: number): number => length / ns * 1e9;
	return {
		round: () => {
			if (target instanceof Workload) target.dirty();
			else dirtyFromOutside(target.pid);
			const still = mechanism.open(lab.tracer, target);
			try {
				const firstReadNs = readOnce(still.pid), readNs = readOnce(still.pid);
				return {
					firstReadNs, firstBytesPerSecond: speed(firstReadNs), readNs, bytesPerSecond: speed(readNs),
				};
			} finally {
				still.end();
			}
		},
		facts: () => facts,
		close: () => target.close(),
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
		firstReadNs: { title: 'The first read of a duplicate', unit: 'ns' },
		firstBytesPerSecond: { title: 'Bandwidth of the first read', unit: 'bytes/s' },
		readNs: { title: 'The same read again', unit: 'ns' },
		bytesPerSecond: { title: 'Bandwidth of the same read again', unit: 'bytes/s' },
	},
	variants: (profile, mechanisms) => {
		const mechanism = firstDuplicating(mechanisms)?.name;
		if (mechanism === undefined) return [];
		const text = TEXT_KIB.flatMap((sizeKiB) => PAPER_WAYS.map((way): Variant => ({
			id: `${way} bash text=${sizeKiB}KiB`, factors: { mechanism, target: 'bash', way, sizeKiB },
			...inBlocks(profile === 'paper' ? 1000 : 20, profile), ...hints({ way, sizeKiB }),
		})));
		return [...text, ...sizeVariants(profile, mechanism)];
	},
	open,
	tables: (results, paper) => [tableSix(results, paper), tableSeven(results, paper), bandwidth(results)],
	charts: (results) => {
		const rows = medianPoints(results.where({ target: 'resident' }), 'firstBytesPerSecond', 1e9);
		const y = { type: 'quantitative' as const, scale: { type: 'log' as const }, title: 'GB/s' };
		return [{
			name: 'read',
			title: 'Bandwidth of the first read of a copy, by its size',
			caption: 'Medians with their 95 % intervals by blocks, both axes logarithmic. memcpy is the floor: as ' +
				'many bytes copied within one process.',
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
			{ key: 'size', title: 'size', unit: 'KiB' },
			{ key: 'read', title: 'read(), first', unit: 'us' }, { key: 'again', title: 'again', unit: 'us' },
			{ key: 'ptrace', title: 'ptrace(), first', unit: 'us' },
			{ key: 'ptraceAgain', title: 'again', unit: 'us' },
			{ key: 'ratio', title: 'ratio of the first', unit: 'ratio' }, { key: 'within', title: '95 % of it' },
			{ key: 'n', title: 'n', unit: 'count' }, { key: 'blocks', title: 'blocks', unit: 'count' },
			{ key: 'paperRead', title: 'read()', unit: 'us', paper: true },
			{ key: 'paperPtrace', title: 'ptrace()', unit: 'us', paper: true },
			{ key: 'paperRatio', title: 'ratio', unit: 'ratio', paper: true },
		],
		rows: table6.rows.map(({ sizeKiB, readMeanUs, ptraceMeanUs, ptraceToReadRatio }) => {
			const read = bashWay(results, 'proc-mem-paper', sizeKiB), ptrace = bashWay(results, 'peek', sizeKiB);
			const times = ratioOf(ptrace, read, 'firstReadNs', 'mean');
			return {
				size: sizeKiB, read: of(read, 'firstReadNs', 'mean', US), again: of(read, 'readNs', 'mean', US),
				ptrace: of(ptrace, 'firstReadNs', 'mean', US), ptraceAgain: of(ptrace, 'readNs', 'mean', US),
				ratio: times?.value ?? null, within: between(times, 1), n: roundsOf(ptrace, 'readNs'),
				blocks: of(ptrace, 'readNs', 'blocks'), paperRead: readMeanUs,
				paperPtrace: ptraceMeanUs, paperRatio: ptraceToReadRatio,
			};
		}),
		notes: [
			'read(): open, lseek, read and close of /proc/PID/mem, each time. ptrace(): PTRACE_PEEKTEXT, 8 bytes a ' +
				'call. Both read the duplicate, a new one in each round: first once, then again.',
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
		title: 'Bandwidth of every way of reading, the first read of a copy, median',
		columns: [
			{ key: 'size', title: 'one read' }, ...WAYS.map((way) => ({ key: way, title: way, unit: 'GB/s' as const })),
			...WAYS.map((way) => ({ key: `again-${way}`, title: `${way}, again`, unit: 'GB/s' as const })),
			{ key: 'bestWay', title: 'fastest first' }, { key: 'best', title: 'to memcpy', unit: 'ratio' },
			{ key: 'within', title: '95 % of it' }, { key: 'n', title: 'n', unit: 'count' },
		],
		rows: sizes.map((sizeKiB) => {
			const at = (way: Way) => results.where({ target: 'resident', way, sizeKiB })[0];
			const first = (way: Way) => of(at(way), 'firstBytesPerSecond', 'median', 1e9);
			const best = WAYS.filter((way) => way !== 'memcpy' && first(way) !== null)
				.sort((a, b) => (first(b) ?? 0) - (first(a) ?? 0))[0];
			const times = best === undefined
				? null
				: ratioOf(at(best), at('memcpy'), 'firstBytesPerSecond', 'median');
			return {
				size: size(sizeKiB * KIB),
				...Object.fromEntries(WAYS.flatMap((way) => [
					[way, first(way)], [`again-${way}`, of(at(way), 'bytesPerSecond', 'median', 1e9)],
				])),
				bestWay: best ?? null, best: times?.value ?? null, within: between(times, 1),
				n: best === undefined ? null : roundsOf(at(best), 'readNs'),
			};
		}),
		notes: [
			'From a duplicate of a process with 72 MiB of 4 KiB pages, all just written to, into one buffer that is ' +
				'used again; a new duplicate in each round. GB/s are 10⁹ bytes.',
			'proc-mem-paper opens /proc/PID/mem each time, proc-mem keeps it open; vm-readv is process_vm_readv(); ' +
				'memcpy copies within the reader.',
		],
	};
}

function claims(results: Results, { table6, table7 }: Paper): Claim[] {
	const ratios = table6.rows.map(({ sizeKiB }) => ({
		sizeKiB,
		times: ratioOf(
			bashWay(results, 'peek', sizeKiB), bashWay(results, 'proc-mem-paper', sizeKiB), 'firstReadNs', 'mean'
		),
	}));
	const calls = table7.rows.map(({ sizeKiB }) =>
		(bashWay(results, 'peek', sizeKiB)?.facts.calls as Record<string, number> | undefined)?.ptrace ?? null);
	const written = ratios.map(({ sizeKiB, times }) => `${timesWithin(times)} at ${sizeKiB} KiB`).join(', ');
	const theirs = table6.rows.map((row) => `${row.ptraceToReadRatio} ×`).join(', ');
	const large = results.where({ target: 'resident', sizeKiB: SHARING_KIB });
	const [whole, floor] = ['proc-mem', 'memcpy'].map((way) => large.find(({ factors }) => factors.way === way));
	const toCopying = ratioOf(whole, floor, 'firstBytesPerSecond', 'median');
	return [{
		claim: 'Reading /proc/PID/mem is faster than PTRACE_PEEKTEXT',
		where: '5.4, table 6',
		paper: theirs,
		here: written,
		...every(ratios.map(({ times }) => isAbove(times, 1))),
	}, {
		claim: 'and the more so, the more is read',
		where: '5.4, table 6',
		paper: theirs,
		here: written,
		...every(ratios.slice(1).map(({ times }, i) => isLarger(times, ratios[i]?.times ?? null))),
	}, {
		claim: 'because it takes one system call where ptrace takes one for every 8 bytes',
		where: '5.4, table 7',
		paper: table7.rows.map((row) => row.ptraceCalls.toLocaleString('en')).join(', '),
		here: calls.map((count) => (count === null ? 'not counted' : count.toLocaleString('en'))).join(', '),
		holds: calls.includes(null) ? null : calls.every((count, i) => count === table7.rows[i]?.ptraceCalls),
	}, {
		claim: 'and, as is conjectured, because read() shares the memory rather than copying it',
		where: '5.4',
		paper: 'to be investigated',
		here: `read() of ${size(SHARING_KIB * KIB)} has ${timesWithin(toCopying)} the bandwidth of copying as much: ` +
			'what shares would be faster',
		...isAbove(toCopying, 1),
	}];
}

/** So large a read that its system call counts for nothing beside its bytes. */
const SHARING_KIB = 4096;

/** By their intervals: what two sizes have in common is the run alone. */
function isLarger(a: Estimate | null, b: Estimate | null): Verdict {
	if (a === null || b === null) return { holds: null };
	if (a.interval === null || b.interval === null) return isAbove({ ...a, interval: null }, b.value);
	if (a.interval.low > b.interval.high) return { holds: true };
	return a.interval.high < b.interval.low
		? { holds: false }
		: { holds: null, undecided: 'the intervals of two sizes overlap: more rounds might part them' };
}
