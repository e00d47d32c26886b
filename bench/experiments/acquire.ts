/**
 * Beyond the paper: the whole of an acquisition, by the evidence tool (acquire/), to a disk and to a receiver, beside
 * gdb's gcore, and beside the links of the chain that it can be no faster than: memory, digest, disk, network.
 */
import { createHash } from 'node:crypto';
import { colourScale } from '../report/palette.ts';
import { Collector, hasProgram } from '../targets/collector.ts';
import { Workload } from '../targets/workload.ts';
import { nowNs } from '../../native/index.ts';
import type {
	Mechanism, Chart, Claim, Experiment, Lab, ProfileName, Results, Sample, Session, Table, Variant, VariantResult,
} from '../types.ts';
import { levels, medianPoints, MIB, MS, of, ratio, roundsOf, size, time } from './shared/figures.ts';

/** Rounds for a resident size in MiB. */
const ROUNDS: Record<ProfileName, Record<number, number>> = { paper: { 64: 10, 256: 10, 1024: 10 }, smoke: { 16: 2 } };
/** Few, so that all ways take turns: what a disk gives drifts within a run. */
const BLOCK_ROUNDS = 2;
/** The size whose takes are watched from inside the target. */
const WATCHED_MIB: Record<ProfileName, number> = { paper: 256, smoke: 16 };

interface Way {
	title: string;
	/** It takes evidence of the target, which is there for it. Otherwise it is a link of the chain. */
	takes: boolean;
	/** The links that it can be no faster than. */
	chain: string[];
	needs: string;
	/** What it says itself; `bytes` is how much evidence there is. */
	round: (
		lab: Lab, collector: Collector, target: Workload | undefined, bytes: number, mechanism: string
	) => { ns: number; bytes: number; duplicateNs?: number; pauseNs?: number };
}

const STEP_BYTES = 4 * MIB;
const SHARED = Buffer.alloc(STEP_BYTES, 1);

function timed<T>(action: () => T): { ns: number; value: T } {
	const begun = nowNs();
	const value = action();
	return { ns: Number(nowNs() - begun), value };
}

function takeTo(collector: Collector, target: Workload | undefined, mechanism: string, ...to: string[]) {
	const { ns, value: { bytes, ledger } } = timed(() => collector.take(target?.pid ?? 0, mechanism, ...to));
	return {
		ns, bytes, duplicateNs: ledger.duplicateLivedNs,
		...(ledger.endPauseNs === null ? {} : { pauseNs: ledger.pauseNs + ledger.endPauseNs }),
	};
}

const WAYS: Record<string, Way> = {
	'take-file': {
		title: 'procsnap take --out', takes: true, chain: ['sha256', 'dd'], needs: 'sh',
		round: (_lab, collector, target, _bytes, mechanism) => {
			const taken = takeTo(collector, target, mechanism, '--out', 'evidence');
			collector.discard('evidence');
			return taken;
		},
	},
	'take-receiver': {
		title: 'procsnap take --to', takes: true, chain: ['sha256', 'dd', 'tls'], needs: 'openssl',
		round: (_lab, collector, target, _bytes, mechanism) => {
			const taken = takeTo(collector, target, mechanism, ...collector.link);
			collector.discardReceived();
			return taken;
		},
	},
	'gcore': {
		title: 'gcore', takes: true, chain: ['dd'], needs: 'gcore',
		round: (_lab, collector, target) => {
			const { ns } = timed(() => {
				collector.run('gcore', '-o', 'gcore', String(target?.pid));
				collector.run('sync', `gcore.${target?.pid ?? ''}`);
			});
			const bytes = Number(collector.run('stat', '-c', '%s', `gcore.${target?.pid ?? ''}`));
			collector.discard(`gcore.${target?.pid ?? ''}`);
			return { ns, bytes };
		},
	},
	'memcpy': {
		title: 'memcpy', takes: false, chain: [], needs: 'sh',
		round: ({ tracer }, _collector, _target, bytes) => {
			let ns = 0;
			for (let done = 0; done < bytes; done += STEP_BYTES) ns += tracer.read('memcpy', 0, 0n, STEP_BYTES).ns;
			return { ns, bytes };
		},
	},
	'sha256': {
		title: 'SHA-256', takes: false, chain: [], needs: 'sh',
		round: (_lab, _collector, _target, bytes) => ({
			bytes,
			...timed(() => {
				const hash = createHash('sha256');
				for (let done = 0; done < bytes; done += STEP_BYTES) hash.update(SHARED);
				return hash.digest();
			}),
		}),
	},
	'dd': {
		title: 'dd', takes: false, chain: [], needs: 'dd',
		round: (_lab, collector, _target, bytes) => {
			// Its own time: not that of its start.
			const said = collector.run(
				'sh', '-c',
				`LC_ALL=C dd if=/dev/zero of=dd bs=${STEP_BYTES} count=${bytes / STEP_BYTES} oflag=direct ` +
					`conv=fsync 2>&1`
			);
			collector.discard('dd');
			return { ns: Number(/copied, ([\d.e-]+) s/.exec(said)?.[1]) * 1e9, bytes };
		},
	},
	'tls': {
		title: 'TLS over loopback', takes: false, chain: [], needs: 'openssl',
		round: (_lab, collector, _target, bytes) => ({ ns: collector.tlsNs(bytes), bytes }),
	},
};

/** `mechanism` is that of the takes; nobody else has one. */
function waysFor(mechanism: string | undefined): Array<[string, Way]> {
	return Object.entries(WAYS).filter(([name, { needs, takes }]) =>
		hasProgram(needs) && (mechanism !== undefined || !takes || name === 'gcore'));
}

const mechanismOf = (way: string, mechanism: string | undefined): string =>
	(way.startsWith('take-') ? mechanism ?? 'none' : 'none');

function variants(profile: ProfileName, mechanisms: Mechanism[]): Variant[] {
	const mechanism = mechanisms.find(({ notForEvidence }) => notForEvidence === null)?.name;
	const ways = waysFor(mechanism);
	const atRest = Object.entries(ROUNDS[profile]).flatMap(([sizeMiB, rounds]) => ways.map(([way]): Variant => ({
		id: `${way} rss=${sizeMiB}MiB`,
		factors: { mechanism: mechanismOf(way, mechanism), target: 'at-rest', way, rssMiB: Number(sizeMiB) }, rounds,
		warmupRounds: 0, blockRounds: BLOCK_ROUNDS,
	})));
	const rounds = profile === 'paper' ? 10 : 1;
	const busy = ways.filter(([, { takes }]) => takes).map(([way]): Variant => ({
		id: `${way} rss=${WATCHED_MIB[profile]}MiB target=busy`,
		factors: { mechanism: mechanismOf(way, mechanism), target: 'busy', way, rssMiB: WATCHED_MIB[profile] }, rounds,
		warmupRounds: 0, blockRounds: BLOCK_ROUNDS,
	}));
	return [...atRest, ...busy];
}

async function open({ factors }: Variant, lab: Lab): Promise<Session> {
	const way = WAYS[String(factors.way)];
	if (way === undefined) throw new Error(`there is no way ${factors.way}`);
	const busy = factors.target === 'busy';
	const own = lab.tracer.cpu < 0 ? lab.targetCpu : lab.tracer.cpu;
	const collector = new Collector(busy ? [own] : [lab.targetCpu, own]);
	let target: Workload | undefined;
	const close = async () => {
		await target?.close();
		await collector.close();
	};
	try {
		if (way.needs === 'openssl') collector.makeCertificates();
		if (factors.way === 'take-receiver') await collector.startReceiver();
		// One that is at rest is bound to no CPU, as this process is, so that its collector need not leave it one.
		// One that never rests has no FIFO priority: for such a one the kernel itself makes a pause of 50 ms each
		// second (sched_rt_runtime_us).
		if (way.takes)
			target = await Workload.start(
				'resident',
				['--rss', `${factors.rssMiB}M`, '--pages', '4k', ...(busy ? ['--cpu', String(lab.targetCpu)] : [])]
			);
		if (target !== undefined && !busy) collector.unbind(target.pid);
	} catch (error) {
		await close();
		throw error;
	}
	const once = () => way.round(lab, collector, target, Number(factors.rssMiB) * MIB, String(factors.mechanism));
	const round = (): Sample => {
		// On a CPU that it shares with the collector it could only watch how they take turns.
		const watched = busy && target !== undefined && lab.tracer.cpu !== lab.targetCpu
			? target.longestGap(once)
			: { value: once(), gapNs: Number.NaN };
		const { ns, bytes, duplicateNs, pauseNs } = watched.value;
		return {
			wholeNs: ns, duplicateNs: duplicateNs ?? Number.NaN, bytesPerSecond: bytes / (duplicateNs ?? ns) * 1e9,
			pauseNs: pauseNs ?? Number.NaN, targetPauseNs: watched.gapNs,
		};
	};
	return { round, close };
}

export const experiment: Experiment = {
	name: 'acquire',
	order: 5,
	title: 'Acquiring evidence',
	question: 'How fast is evidence taken, sealed and brought to safety, how near is that to the slowest link of ' +
		'its chain, and what does the target see of it?',
	onDevices: true,
	metrics: {
		wholeNs: { title: 'The whole command', unit: 'ns' },
		duplicateNs: { title: 'Lifetime of the duplicate', unit: 'ns' },
		bytesPerSecond: { title: 'Bandwidth', unit: 'bytes/s' },
		pauseNs: { title: 'Both pauses of the target, as the evidence reports them', unit: 'ns' },
		targetPauseNs: { title: 'Longest pause of the target meanwhile, seen from inside it', unit: 'ns' },
	},
	variants,
	open,
	tables: (results) => [throughput(results), pauses(results)],
	charts: (results) => [throughputChart(results)],
	claims,
};

const atRest = (results: Results, way: string, rssMiB: number): VariantResult | undefined =>
	results.where({ target: 'at-rest', way, rssMiB })[0];
const sizesOf = (results: Results): number[] =>
	levels(results, 'rssMiB').map(Number)
		.filter((each) => results.where({ target: 'at-rest', rssMiB: each }).length > 0);

/** GB/s. */
const speed = (results: Results, way: string, rssMiB: number): number | null =>
	of(atRest(results, way, rssMiB), 'bytesPerSecond', 'median', 1e9);

/** What a way reaches of the slowest link of its chain; null where a link was not measured. */
function ofSlowest(results: Results, way: string, rssMiB: number): number | null {
	const links = (WAYS[way]?.chain ?? []).map((link) => speed(results, link, rssMiB));
	return links.length === 0 || links.includes(null)
		? null
		: ratio(speed(results, way, rssMiB), Math.min(...links as number[]));
}

function throughput(results: Results): Table {
	const names = Object.keys(WAYS);
	return {
		name: 'acquire',
		title: 'Bandwidth of an acquisition and of the links of its chain, median',
		columns: [
			{ key: 'size', title: 'target' },
			...names.map((way) => ({ key: way, title: WAYS[way]?.title ?? way, unit: 'GB/s' as const })),
			{ key: 'file', title: '--out to its slowest link', unit: 'ratio' },
			{ key: 'receiver', title: '--to to its slowest link', unit: 'ratio' },
			{ key: 'n', title: 'n', unit: 'count' },
		],
		rows: sizesOf(results).map((rssMiB) => ({
			size: size(rssMiB * MIB), ...Object.fromEntries(names.map((way) => [way, speed(results, way, rssMiB)])),
			file: ofSlowest(results, 'take-file', rssMiB), receiver: ofSlowest(results, 'take-receiver', rssMiB),
			n: roundsOf(atRest(results, 'take-file', rssMiB), 'wholeNs'),
		})),
		notes: [
			'procsnap: core bytes divided by the time from the snapshot until the duplicate may end: everything is ' +
				'read, hashed and on the disk (fsync), and with --to acknowledged by a receiver on the same machine ' +
				'and disk. The command\'s start and the signature are not in it; "whole command" below has them. ' +
				'gcore: divided by the time of the whole command and a sync; the target is stopped meanwhile. ' +
				'GB/s are 10⁹ bytes. All ways take turns, two rounds at a time.',
			'The links: SHA-256 by one thread, dd of zeros to the same disk (oflag=direct conv=fsync: what the page ' +
				'cache gives differs from one moment to the next where the machine gives memory back), TLS 1.3 ' +
					'between two processes that do nothing else. The chain of --out is digest and disk, of --to ' +
						'those and TLS. A cell is empty where a program (gdb, openssl) is missing.',
		],
	};
}

function pauses(results: Results): Table {
	const rows = results.where({ target: 'busy' });
	return {
		name: 'acquire-pause',
		title: 'What a target that never rests sees of an acquisition',
		columns: [
			{ key: 'way', title: 'way' }, { key: 'size', title: 'target' },
			{ key: 'pause', title: 'longest pause, seen inside', unit: 'ms' },
			{ key: 'max', title: 'worst', unit: 'ms' },
			{ key: 'reported', title: 'both pauses, as reported', unit: 'ms' },
			{ key: 'duplicate', title: 'duplicate lives', unit: 'ms' },
			{ key: 'whole', title: 'whole command', unit: 'ms' }, { key: 'n', title: 'n', unit: 'count' },
		],
		rows: rows.map((variant) => ({
			way: WAYS[String(variant.factors.way)]?.title ?? null, size: size(Number(variant.factors.rssMiB) * MIB),
			pause: of(variant, 'targetPauseNs', 'median', MS), max: of(variant, 'targetPauseNs', 'max', MS),
			reported: of(variant, 'pauseNs', 'median', MS),
			duplicate: of(variant, 'duplicateNs', 'median', MS), whole: of(variant, 'wholeNs', 'median', MS),
			n: roundsOf(variant, 'wholeNs'),
		})),
		notes: [
			'The target reads its clock in a loop, on a CPU of its own: collector, receiver and gcore have the ' +
				'other. Medians, but for the worst of all rounds.',
		],
	};
}

function throughputChart(results: Results): Chart {
	const names = Object.keys(WAYS).filter((way) => results.where({ target: 'at-rest', way }).length > 0);
	const titles = names.map((way) => WAYS[way]?.title ?? way);
	const values = medianPoints(results.where({ target: 'at-rest' }), 'bytesPerSecond', 1e9)
		.map((row) => ({ ...row, title: WAYS[String(row['way'])]?.title ?? '' }));
	const y = { type: 'quantitative' as const, scale: { type: 'log' as const }, title: 'GB/s' };
	return {
		name: 'acquire',
		title: 'Bandwidth of an acquisition and of the links of its chain',
		caption: 'Medians with their 95 % intervals, both axes logarithmic. No acquisition can be faster than the ' +
			'slowest of its links: digest and disk, and TLS for a receiver.',
		spec: {
			data: { values },
			encoding: {
				x: {
					field: 'rssMiB', type: 'quantitative', scale: { type: 'log', base: 2, nice: false, padding: 24 },
					title: 'memory of the target (MiB)', axis: { values: sizesOf(results) },
				},
				color: { field: 'title', type: 'nominal', scale: colourScale(titles), title: null },
			},
			layer: [
				{ mark: 'rule', encoding: { y: { ...y, field: 'low' }, y2: { field: 'high' } } },
				{ mark: 'line', encoding: { y: { ...y, field: 'median' } } },
				{ mark: 'point', encoding: { y: { ...y, field: 'median' } } },
			],
		},
	};
}

function claims(results: Results): Claim[] {
	const [own, classical] = ['take-file', 'gcore'].map((way) => results.where({ target: 'busy', way })[0]);
	const [pause, stop] = [own, classical].map((variant) => of(variant, 'targetPauseNs', 'median'));
	return [{
		claim: 'A duplicate spares the target the time that its evidence takes',
		where: '1, 4',
		paper: 'stated, not measured',
		here: pause == null || stop == null
			? 'not measured'
			: `${time(pause)} at most at a time, ${time(stop)} under gcore`,
		holds: pause == null || stop == null ? null : pause < stop / 10,
	}];
}
