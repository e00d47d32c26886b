/**
 * Adding an experiment or a mechanism is one new file, and with a half in C that half's own: drop them in, and see them
 * run, in the harness and in the tool.
 */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, globSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import test, { type ExecutionContext } from 'ava';
import type { Manifest } from '../../../acquire/evidence/manifest.ts';
import { startTarget } from '../../acquire/help.ts';
import { children, until } from '../../native/help.ts';
import { NODE } from '../../processes.ts';
import { aFolder } from './procsnap.ts';

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
	duplicates: false, forked: false, keepsShared: false, allFlags: true, ofOneMoment: true, cooperative: false, notForEvidence: null, unavailable: () => null,
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

/** A half in C: how the copy is made, and how the tracer holds it. */
const IN_C = {
	'native/duplicate/dropped_in.h': `
#include "procsnap.h"
int ps_dropped_in(pid_t target, int64_t timeout_ns, int64_t limit_ns, struct ps_duplicate *taken, struct ps_registers *to);
`,
	'native/duplicate/dropped_in.c': `
#include "dropped_in.h"

int ps_dropped_in(pid_t target, int64_t timeout_ns, int64_t limit_ns, struct ps_duplicate *taken, struct ps_registers *to)
{
	return ps_inject(target, -1, timeout_ns, limit_ns, taken, to, PS_MAX_THREADS, NULL);
}
`,
	'native/tracer/kinds/dropped_in.c': `
#include <string.h>
#include "duplicate/dropped_in.h"
#include "tracer/area.h"
#include "tracer/kinds.h"
#include "tracer/reader.h"

static struct ps_duplicate held;

#define DROPPED_IN_RESULTS(R)	R(pid) R(take_ns) R(pause_ns) R(moment_ns) R(registers) R(sum) R(letters)
OPERATION(dropped_in, DROPPED_IN_RESULTS)
{
	struct ps_duplicate taken;
	char word[8];
	int err = read_bytes(request, word, sizeof(word));

	if (err)
		return err;
	err = ps_dropped_in(request->pid, request->timeout_ns, request->limit_ns, &taken, registers);
	tell_calls(&taken.calls);
	result->pause_ns = taken.pause_ns;
	if (err)
		return err;
	held = taken;
	*result = (struct dropped_in_results){
		.pid = taken.pid, .take_ns = taken.take_ns, .pause_ns = taken.pause_ns, .moment_ns = taken.moment_ns,
		.registers = taken.registers, .sum = request->argument[0] + request->argument[1], .letters = strlen(word),
	};
	return 0;
}

static bool is_held(void)
{
	return held.pid;
}

static int end(const struct tracer_request *request, struct tracer_reply *reply, struct ending *ending)
{
	(void)reply;
	close_reader(held.pid);
	ending->target = held.target;
	ending->unburied = ps_end(&held, request->timeout_ns, request->limit_ns, &ending->figures);
	held.pid = 0;
	return 0;
}

KIND(dropped_in) = { .taken_by = &op_dropped_in, .beside = true, .is_held = is_held, .end = end };
`,
	'mechanisms/dropped-in-c.ts': `
import { ProcessImage, readBy } from './shared/process-image.ts';

export const mechanism = {
	name: 'dropped-in-c', order: 98, title: 'a half in C', description: 'what one file in C does',
	duplicates: true, forked: true, keepsShared: false, allFlags: true, ofOneMoment: true, cooperative: false, notForEvidence: null, unavailable: () => null,
	open: (tracer, target) => {
		const { pid, takeNs, pauseNs, momentNs, sum, letters } = tracer.askStopping(
			'droppedIn', ['pid', 'takeNs', 'pauseNs', 'momentNs', 'sum', 'letters'],
			{ pid: target.pid, numbers: [20n, 22], bytes: Buffer.from('word') }
		);
		if (sum !== 42 || letters !== 4) throw new Error('asked with other numbers and bytes: ' + sum + ', ' + letters);
		return {
			figures: { takeNs, pauseNs, calls: tracer.lastCalls }, pid, read: readBy(tracer, pid),
			image: () => new ProcessImage(tracer, pid, { momentNs, skewNs: 0 }), end: () => tracer.end(),
		};
	},
};
`,
};

/** Takes a copy, and waits for its own death. */
const REQUESTER = `
import { mechanism } from './mechanisms/dropped-in-c.ts';
import { Tracer } from './native/index.ts';
console.log(mechanism.open(Tracer.start(), { pid: Number(process.argv[1]) }).pid);
setInterval(() => {}, 1000);
`;

const NAME = 'dropped-in-mechanism';
const runIn = (cwd: string, ...args: string[]) =>
	spawnSync(NODE[0], [...NODE.slice(1), ...args], { cwd, encoding: 'utf8', timeout: 240_000 });
const tool = (...args: string[]) => runIn('.', 'acquire/cli.ts', ...args);

/** That the mechanism's contract holds in a checkout: what ava says. */
function contract(t: ExecutionContext, checkout: string, name: string): void {
	const { status, stdout, stderr } = spawnSync(
		'node_modules/.bin/ava', ['test/mechanisms/contract.test.ts', '--match', `${name}:*`, '--tap'],
		{ cwd: checkout, encoding: 'utf8', timeout: 120_000 }
	);
	t.is(status, 0, stdout + stderr);
	t.true((stdout.match(/^ok /gm)?.length ?? 0) >= 2, stdout);
}

test.serial('a temporary experiment and a temporary mechanism, one file each', async (t) => {
	const files = [['bench/experiments/dropped-in.ts', EXPERIMENT], [`mechanisms/${NAME}.ts`, MECHANISM]] as const;
	// Not in the checkout itself: the guest that is tested beside this has the same files.
	const folder = aFolder(t), copy = copyOfCheckout(folder), dir = join(folder, 'run');
	for (const [path, text] of files) writeFileSync(join(copy, path), text);
	const tool = (...args: string[]) => runIn(copy, 'acquire/cli.ts', ...args);

	const list = runIn(copy, 'bench/cli.ts', 'bench', '--list');
	t.regex(list.stdout, /dropped-in {2,}Dropped in/, list.stderr);
	t.regex(list.stdout, /dropped-in-mechanism {2,}a copy in memory/);
	const { status, stdout, stderr } = runIn(
		copy, 'bench/cli.ts', 'bench', '--environment', 'host', '--profile', 'smoke', '--experiment', 'dropped-in',
		'--experiment', 'integrity', '--out', dir
	);
	t.is(status, 0, stdout + stderr);
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
	t.regex(tool('take', '1', '--mechanism', 'magic').stderr, /the mechanisms are .*\bdropped-in-mechanism\b/);
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
	contract(t, copy, NAME);
	t.deepEqual(changedIn(copy), files.map(([path]) => path).sort());
});

const CHECKOUT = fileURLToPath(new URL('../../../', import.meta.url));
/** What git does not know of: made here, or of other packages. */
const MADE = ['.git', 'node_modules', 'build', '.procsnap-begun', '.procsnap-ready'];

/** A copy of this checkout, with what has been compiled and without the results of runs. */
function copyOfCheckout(folder: string): string {
	const copy = join(folder, 'checkout');
	const runs = globSync('results/*', { cwd: CHECKOUT })
		.filter((path) => statSync(join(CHECKOUT, path)).isDirectory());
	const left = ['.git', 'node_modules', ...runs].map((path) => resolve(CHECKOUT, path));
	cpSync(CHECKOUT, copy, { recursive: true, preserveTimestamps: true, filter: (path) => !left.includes(path) });
	symlinkSync(join(CHECKOUT, 'node_modules'), join(copy, 'node_modules'));
	return copy;
}

/** The files of the copy that the checkout has not, or has with another text. */
function changedIn(copy: string): string[] {
	const isOther = (file: string): boolean => {
		try {
			return !readFileSync(join(CHECKOUT, file)).equals(readFileSync(join(copy, file)));
		} catch {
			return true;
		}
	};
	return globSync('**/*', { cwd: copy, exclude: (name) => MADE.includes(basename(name)) })
		.filter((file) => statSync(join(copy, file)).isFile() && isOther(file)).sort();
}

test.serial('a mechanism with a half in C: its own files, and nothing else is edited', async (t) => {
	const folder = aFolder(t), copy = copyOfCheckout(folder), name = 'dropped-in-c';
	t.deepEqual(changedIn(copy), []);
	for (const [path, text] of Object.entries(IN_C)) writeFileSync(join(copy, path), text);
	const made = spawnSync('make', ['-C', 'native'], { cwd: copy, encoding: 'utf8' });
	t.is(made.status, 0, made.stdout + made.stderr);
	for (const line of ['CC   native/tracer/kinds/dropped_in.c', 'CC   native/duplicate/dropped_in.c'])
		t.true(made.stdout.includes(line), made.stdout);

	const list = runIn(copy, 'bench/cli.ts', 'bench', '--list');
	t.regex(list.stdout, /dropped-in-c {2,}a half in C/, list.stderr);
	t.regex(runIn(copy, 'acquire/cli.ts', 'take', '--help').stdout, /--mechanism NAMES? .*dropped-in-c/);
	const target = await startTarget(t, 'sharing', 24, 8), out = join(folder, 'evidence'), key = join(folder, 'key');
	const taken = runIn(
		copy, 'acquire/cli.ts', 'take', String(target.pid), '--mechanism', name, '--out', out, '--key', key
	);
	t.is(taken.status, 0, taken.stderr);
	t.regex(taken.stdout, /by dropped-in-c/);
	const { mechanism, threads } = JSON.parse(readFileSync(join(out, 'manifest.json'), 'utf8')) as Manifest;
	t.deepEqual(mechanism, { name, description: 'what one file in C does', why: 'it was asked for' });
	t.true(threads.length > 0, 'with registers');
	const verified = tool('verify', out, '--key', `${key}.pub`);
	t.is(verified.status, 0, verified.stdout + verified.stderr);
	contract(t, copy, name);

	// As of any kind: where its requester is killed, the tracer ends what it holds.
	const requester = spawn(
		NODE[0], [...NODE.slice(1), '--input-type=module', '--eval', REQUESTER, String(target.pid)],
		{ cwd: copy, stdio: ['ignore', 'pipe', 'inherit'] }
	);
	t.teardown(() => requester.kill('SIGKILL'));
	const [said] = await once(requester.stdout, 'data') as [Buffer];
	t.deepEqual(children(target.pid), [Number(said.toString())]);
	requester.kill('SIGKILL');
	await until('the copy is gone', () => children(target.pid).length === 0);

	t.deepEqual(changedIn(copy), Object.keys(IN_C).sort());
});
