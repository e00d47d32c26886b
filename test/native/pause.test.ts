/** What is told of the pause is never less than the target itself has seen. */
import test from 'ava';
import { isFree } from '../processes.ts';
import { inTheEnd, PATIENT, start, tracerFor } from './help.ts';

/** Of targets/gaps.c. */
const [LOOKS, GAP, BEGIN, END, ALARMS, URGENT] = [1, 3, 4, 5, 6, 8];
/** It sleeps for 0.2 ms at a time, and is woken up somewhat later. */
const SLACK_NS = 2e6;

for (const [mode, what] of [['idle', 'no signals'], ['alarms', 'SIGALRM every 2 ms']] as const)
	test(`400 threads, ${what}: pauseNs`, async (t) => {
		const target = await start(t, 'gaps', mode, 400), tracer = tracerFor(t, PATIENT);
		if (target.number(URGENT) !== 1) {
			t.log('not here: without a real-time priority others keep the target from its CPU, too');
			return t.pass();
		}
		const figures: string[] = [];
		let met = 0;
		for (let i = 0; i < 15; i++) {
			await target.runs(LOOKS);
			target.word[GAP] = 0n;
			const { pauseNs, momentNs } = await inTheEnd(() => tracer.inject(target.pid));
			await target.runs(LOOKS);
			const seen = target.number(GAP), [begin, end] = [target.number(BEGIN), target.number(END)];
			tracer.end();
			// The longest gap is that of the take, unless somebody else's is longer.
			if (momentNs < begin || momentNs > end) continue;
			met++;
			figures.push(`${(pauseNs / 1e6).toFixed(1)}/${(seen / 1e6).toFixed(1)}`);
			t.true(
				pauseNs + SLACK_NS >= seen, `told ${pauseNs / 1e6} ms, and the target stood still for ${seen / 1e6} ms`
			);
		}
		t.log(`told/seen in ms: ${figures.join(' ')}`);
		t.true(met >= 5, `${met} of 15 takes were seen`);
		t.is(target.number(ALARMS) > 0, mode === 'alarms');
		t.true(isFree(target.pid));
		return undefined;
	});
