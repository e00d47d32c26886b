/** Adding an experiment or a mechanism is one new file: drop one in, and see it run, in the harness and in the tool. */
import { spawnSync } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import type { Manifest } from '../../../acquire/evidence/manifest.ts';
import { startTarget } from '../../acquire/help.ts';
import { NODE } from '../../processes.ts';
import { aFolder, run } from './procsnap.ts';

const EXPERIMENT = `
import { Workload } from '../targets/workload.ts';
export const experiment = {
	name: 'dropped-in', order: 99, title: 'Dropped in', question: 'Does one file do?',
	metrics: { pauseNs: { title: 'Pause', unit: 'ns' } },
	variants: (profile, mechanisms) => mechanisms.map(({ name }) => ({ id: name, factors: { mechanism: name }, rounds: 5, warmupRounds: 1, blockRounds: 5 })),
	open: async ({ factors }, lab) => {
		const target = await Workload.start('resident', ['--rss', '4M']);
		const mechanism = lab.mechanisms.find(({ name }) => name === factors.mechanism);
		return {
			round: () => {
				const still = mechanism.open(lab.tracer, target);
				still.end();
				return { pauseNs: still.figures.pauseNs };
			},
			close: () => target.close(),
		};
	},
	tables: (results) => [{ name: 'dropped-in', title: 'Dropped in', columns: [{ key: 'mechanism', title: 'mechanism' }, { key: 'pause', title: 'pause', unit: 'us' }], notes: [],
		rows: results.variants.map(({ id, summary }) => ({ mechanism: id, pause: (summary.pauseNs?.median ?? NaN) / 1e3 })) }],
	charts: () => [], claims: () => [],
};
`;

/** No process holds the copy: it is in the requester's memory. */
const MECHANISM = `
import { closeSync, openSync } from 'node:fs';
import { populatedRuns } from '../common/proc/pagemap.ts';
import { auxvOf, executedBy, processNote, regionsOf } from '../common/proc/process.ts';
import { nowNs, NOTHING_DONE, ProcsnapError } from '../native/index.ts';

const WHICH = ['all', 'own', 'resident'];

function copyAll(tracer, pid, regions) {
	return regions.filter(({ readable, flags }) => readable && !flags.has('io') && !flags.has('pf')).map(({ start, end }) => {
		const bytes = Buffer.alloc(end - start);
		for (let at = 0; at < bytes.length; at += 1 << 20) {
			try {
				bytes.set(tracer.data.subarray(0, tracer.read('proc-mem', pid, BigInt(start + at), Math.min(1 << 20, bytes.length - at)).bytes), at);
			} catch {}	// past the end of its file
		}
		return { start, end, bytes };
	});
}

export const mechanism = {
	name: 'dropped-in-mechanism', order: 99, title: 'a copy in memory', description: 'the target was stopped until it was copied',
	duplicates: false, forked: false, keepsShared: false, allFlags: true, cooperative: false, notForEvidence: null, unavailable: () => null,
	open: (tracer, { pid }) => {
		const begunNs = Number(nowNs());
		tracer.hold(pid);
		const calls = tracer.lastCalls, momentNs = Number(nowNs()), threads = tracer.registers();
		const regions = regionsOf(pid, 'smaps'), note = processNote(pid), auxv = auxvOf(pid), executed = { ...executedBy(pid), path: '/proc/' + pid + '/exe' }, pagemap = openSync('/proc/' + pid + '/pagemap', 'r');
		const runs = Object.fromEntries(WHICH.map((which) => [which, regions.flatMap((region) => populatedRuns(pagemap, region, which))]));
		closeSync(pagemap);
		let copies = copyAll(tracer, pid, regions);
		tracer.letGo();
		const takeNs = Number(nowNs()) - begunNs;
		const bytesAt = (address, length) => {
			const copy = copies.find(({ start, end }) => start <= address && address < end);
			return copy === undefined ? new Uint8Array() : copy.bytes.subarray(address - copy.start, address - copy.start + length);
		};
		return {
			figures: { takeNs, pauseNs: takeNs, calls },
			pid: 0,
			read: (address, length) => bytesAt(Number(address), length),
			image: () => ({
				momentNs, skewNs: 0, threads: () => threads, regions: () => regions, auxv: () => auxv, note: () => note, copiedBytes: () => null, close: () => {},
				executed: () => executed,
				populated: ({ start, end }, which) => runs[which].map((run) => ({ start: Math.max(start, run.start), end: Math.min(end, run.end) })).filter((run) => run.start < run.end),
				openMemory: async () => ({
					read: async (room, at, length, address) => {
						const bytes = bytesAt(address, length);
						room.set(bytes, at);
						return bytes.length;
					},
					close: async () => {},
				}),
			}),
			end: () => {
				if (copies.length === 0) throw new ProcsnapError('ESRCH', 'the copy was given up before');
				copies = [];
				return NOTHING_DONE;
			},
		};
	},
};
`;

const NAME = 'dropped-in-mechanism';
const tool = (...args: string[]) =>
	spawnSync(NODE[0], [...NODE.slice(1), 'acquire/cli.ts', ...args], { encoding: 'utf8' });

test.serial('a temporary experiment and a temporary mechanism, one file each', async (t) => {
	const files = [['bench/experiments/dropped-in.ts', EXPERIMENT], [`mechanisms/${NAME}.ts`, MECHANISM]] as const;
	t.teardown(() => { for (const [path] of files) rmSync(path, { force: true }); });
	for (const [path, text] of files) writeFileSync(path, text);

	const list = await run(['bench', '--list']);
	t.regex(list.output, /dropped-in {2,}Dropped in/);
	t.regex(list.output, /dropped-in-mechanism {2,}a copy in memory/);
	const folder = aFolder(t), dir = join(folder, 'run');
	const { code, output } = await run([
		'bench', '--environment', 'host', '--profile', 'smoke', '--experiment', 'dropped-in', '--experiment',
		'integrity', '--out', dir,
	]);
	t.is(code, 0, output);
	const table = readFileSync(join(dir, 'tables/dropped-in.csv'), 'utf8');
	t.regex(table, /^dropped-in-mechanism,\d+/m);
	t.regex(table, /^inject,\d+/m);
	t.regex(readFileSync(join(dir, 'report.html'), 'utf8'), /Does one file do\?/);
	t.regex(
		readFileSync(join(dir, 'tables/integrity.csv'), 'utf8'), /^dropped-in-mechanism,"?writer/m,
		'an experiment that takes all mechanisms'
	);

	for (const verb of ['take', 'hidden'])
		t.regex(tool(verb, '--help').stdout, /--mechanism NAMES? .*dropped-in-mechanism/);
	t.regex(tool('take', '1', '--mechanism', 'magic').stderr, /the mechanisms are .* and dropped-in-mechanism/);
	const target = await startTarget(t, 'sharing', 24, 8);
	const out = join(folder, 'evidence'), key = join(folder, 'key');
	const taken = tool('take', String(target.pid), '--mechanism', NAME, '--out', out, '--key', key);
	t.is(taken.status, 0, taken.stderr);
	t.regex(taken.stdout, /by dropped-in-mechanism/);
	const { mechanism } = JSON.parse(readFileSync(join(out, 'manifest.json'), 'utf8')) as Manifest;
	t.deepEqual(
		mechanism, { name: NAME, description: 'the target was stopped until it was copied', why: 'it was asked for' }
	);
	const verified = tool('verify', out, '--key', `${key}.pub`);
	t.is(verified.status, 0, verified.stdout + verified.stderr);
	const contract = spawnSync(
		'node_modules/.bin/ava', ['test/mechanisms/contract.test.ts', '--match', `${NAME}:*`, '--tap'],
		{ encoding: 'utf8' }
	);
	t.is(contract.status, 0, contract.stdout + contract.stderr);
	t.true((contract.stdout.match(/^ok /gm)?.length ?? 0) >= 2, contract.stdout);
});
