/** A short run of the oracle, by its command line; and its control, in which images have to be found wrong. */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test, { type ExecutionContext } from 'ava';
import { forEvidence } from '../../mechanisms/shared/all.ts';
import { aMark, leftOver, NODE } from '../processes.ts';
import { CONTROLS, emptyTally, isGood, type OracleVerdict } from './tally.ts';

const CLI = fileURLToPath(new URL('cli.ts', import.meta.url));
const PATIENCE_MS = 120_000;

async function runOracle(t: ExecutionContext, args: readonly string[]): Promise<{
	code: number | null; output: string; verdict: () => OracleVerdict;
}> {
	const out = mkdtempSync(join(tmpdir(), 'procsnap-test-')), mark = aMark();
	t.timeout(PATIENCE_MS + 40_000);
	const child = spawn(NODE[0], [...NODE.slice(1), CLI, ...args, '--out', out], {
		stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, [mark.split('=')[0]!]: mark.split('=')[1] },
	});
	t.teardown(() => rmSync(out, { recursive: true }));
	let output = '';
	for (const stream of [child.stdout, child.stderr])
		stream.setEncoding('utf8').on('data', (text: string) => output += text);
	const timer = setTimeout(() => child.kill('SIGKILL'), PATIENCE_MS);
	const code = await new Promise<number | null>((resolve) => child.on('close', resolve));
	clearTimeout(timer);
	t.deepEqual(await leftOver(mark), [], 'processes that it left');
	return {
		code, output,
		verdict: () => JSON.parse(readFileSync(join(out, 'verdict.json'), 'utf8')) as OracleVerdict,
	};
}

test('twenty images by every mechanism that there is here, all of them right', async (t) => {
	const { code, output, verdict } = await runOracle(t, ['--images', '20', '--seed', '5']);
	t.is(code, 0, output);
	const { tally, seed } = verdict();
	const here = forEvidence().filter(({ unavailable }) => unavailable() === null).map(({ name }) => name);
	t.is(seed, 5);
	t.deepEqual(Object.keys(tally.images).sort(), here.sort());
	// At least those of one thread.
	t.true(tally.pages > 20 * 80, `${tally.pages} pages`);
	t.regex(output, /^oracle: good: \d+ images \(.*\), [\d,]+ pages checked, .* 0 wrong, seed 5, \d+ s; /m);
});

test('a control: nearly every image is found wrong where it is compared with what it is not', async (t) => {
	const { code, output, verdict } = await runOracle(t, ['--images', '20', '--control', '--takers', '2']);
	t.is(code, 0, output);
	for (const name of CONTROLS) t.true((verdict().tally.seen[name] ?? 0) > 4, `${name}: ${output}`);
});

test('one wrong image, one taker that fails, no image at all: each is no good run', (t) => {
	const verdict = (change: Partial<OracleVerdict>): OracleVerdict => ({
		seed: 1, control: false, startedAt: '2026-01-01', seconds: 1, kernel: '6.12', cpus: 2, ended: '',
		tally: { ...emptyTally(), images: { any: 20 } }, wrong: [], failed: [], ...change,
	});
	const wrong = { what: '', seed: 1, mechanism: 'any', threads: 1, coldPages: 1, firstSeed: 1, image: 1 };
	t.true(isGood(verdict({})));
	t.false(isGood(verdict({ wrong: [wrong] })));
	t.false(isGood(verdict({ failed: ['it'] })));
	t.false(isGood(verdict({ tally: emptyTally() })));
	t.false(isGood(verdict({ control: true })), 'a control that sees nothing');
	const seen = Object.fromEntries(CONTROLS.map((name) => [name, 9]));
	t.true(isGood(verdict({ control: true, tally: { ...emptyTally(), images: { any: 20 }, seen } })));
});

test('wrong usage is one line, and nothing is begun', async (t) => {
	for (const [args, says] of [
		[['--images', '0'], /--images 0: it is a whole number from 1/], [['--minutes', 'no'], /--minutes no: it is a number/],
		[['--mechanism', 'nobody'], /unknown mechanism "nobody"/],
	] as const) {
		const { code, output } = await runOracle(t, args);
		t.is(code, 2);
		t.regex(output, says);
		t.is(output.trim().split('\n').length, 1);
	}
});
