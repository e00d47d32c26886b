/** Instructions are counted, and two boots count the same. */
import { spawn } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { collect } from '../../bench/stats/results.ts';
import { readRun } from '../../bench/store/run.ts';
import { aFolder } from '../bench/store/fixtures.ts';
import { noGuest, testUnless } from '../unless.ts';

async function measure(out: string, seed: number): Promise<string> {
	const child = spawn(
		process.execPath,
		[
			'bench/cli.ts', 'bench', '--count-instructions', '--profile', 'smoke', '--experiment', 'clone-kill',
			'--backend', 'inject', '--backend', 'syscall', '--seed', String(seed), '--out', out,
		],
		{ stdio: ['ignore', 'ignore', 'pipe'] }
	);
	let said = '';
	child.stderr.setEncoding('utf8').on('data', (text: string) => { said += text; });
	const code = await new Promise<number | null>((resolve) => { child.once('close', resolve); });
	return code === 0 ? '' : `exit code ${code}: ${said}`;
}

testUnless(noGuest())('two boots count the same, within 1 % (a bash: 3 %), in whatever order', async (t) => {
	t.timeout(1_200_000);
	const folder = aFolder(t);
	const medians: Array<Map<string, number>> = [];
	for (const seed of [1, 2]) {
		const out = join(folder, String(seed));
		t.is(await measure(out, seed), '');
		const { manifest, blocks } = readRun(out);
		t.like(manifest.environment, { name: 'guest', label: 'emulated', guest: { cpus: 1, countInstructions: true } });
		medians.push(new Map(collect(blocks).variants.map(({ id, summary }) =>
			[id, summary['pauseNs']?.median ?? Number.NaN])));
		for (const file of readdirSync(join(out, 'tables'))) {
			t.notRegex(readFileSync(join(out, 'tables', file), 'utf8'), /\((?:ns|us|ms|µs)\)/, file);
		}
		t.regex(readFileSync(join(out, 'report.html'), 'utf8'), /emulated, instructions counted<[^]*k instr\./);
	}
	const [first, second] = medians as [Map<string, number>, Map<string, number>];
	// The call of the kernel's own, which nothing interrupts but the clock's tick.
	// A bash lies at other addresses in each boot (ASLR), and so has now and then a page table more or fewer.
	for (const [id, within] of [
		['syscall target=bash', 0.03], ['syscall rss=28MiB pages=4k', 0.01], ['syscall rss=4MiB pages=4k', 0.01],
		['inject rss=28MiB pages=4k', 0.01],
	] as const) {
		const ratio = (second.get(id) ?? Number.NaN) / (first.get(id) ?? Number.NaN);
		t.log(`${id}: ${first.get(id)} and ${second.get(id)} instructions`);
		t.true(Math.abs(ratio - 1) <= within, `${id}: ${ratio}`);
	}
});
