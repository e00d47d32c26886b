/** The command as users run it, on this machine: whatever that is fit for. */
import test from 'ava';
import { CHECKS } from '../../../bench/doctor/checks.ts';
import type { Finding, Fitness } from '../../../bench/doctor/types.ts';
import type { Floors } from '../../../bench/targets/probes.ts';
import { allowedCpus } from '../../../bench/environments/isolation.ts';
import { leftOver } from '../../processes.ts';
import { run } from '../e2e/procsnap.ts';

test.serial('--json has each check and all floors within 20 s, and exits as its verdict says', async (t) => {
	const begun = performance.now();
	const { code, output, mark } = await run(['doctor', '--json']);
	const tookMs = performance.now() - begun;
	t.deepEqual(await leftOver(mark), []);
	const { exitCode, findings, fitness, floors } = JSON.parse(output) as {
		exitCode: number; findings: Finding[]; fitness: Fitness[]; floors: Floors;
	};
	t.is(code, exitCode);
	t.true(code === 0 || (code! >= 3 && code! <= 6));
	t.true(tookMs < 20_000, `${tookMs} ms`);
	t.deepEqual(findings.map(({ name }) => name), CHECKS.map(({ name }) => name));
	t.is(fitness.length, 4);
	if (!('value' in floors.gaps && 'value' in floors.firstTouch && 'value' in floors.small))
		return t.fail(JSON.stringify(floors));
	t.deepEqual(floors.gaps.value.map(({ cpu }) => cpu), allowedCpus());
	for (const { spunNs, lostNs, count, largestNs } of floors.gaps.value) {
		t.true(spunNs >= 3e9 && lostNs < spunNs && largestNs > 0);
		t.true(lostNs >= count * 10_000);
	}
	const { freshMedianNs, againMedianNs, bytes } = floors.firstTouch.value;
	t.true(freshMedianNs > 0 && againMedianNs > 0 && bytes >= 1 << 20);
	const { callNs, copyNs, wakeNs } = floors.small.value;
	t.true(callNs > 0 && copyNs > 0 && (wakeNs === null || (wakeNs.median <= wakeNs.p99 && wakeNs.n === 500)));
});

test.serial('the text begins with the verdict', async (t) => {
	const { output } = await run(['doctor']);
	t.regex(output, /^This machine is fit for\n {2}counts .*\n {2}ratios .*\n {2}times .*\n {2}worst cases .*\n/);
});

test('wrong usage is 2', async (t) => {
	const { code, output } = await run(['doctor', '--jason']);
	t.is(code, 2);
	t.regex(output, /--jason: the options are --json, --help/);
});
