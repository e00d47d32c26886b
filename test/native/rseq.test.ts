/** Restartable sequences that a stop cuts off start anew, as they would after a pre-emption. */
import test from 'ava';
import { Tracer } from '../../native/index.ts';
import { duplicated, PATIENT, sleep, start, type Target } from './help.ts';

const tracer = Tracer.start(PATIENT);
test.after.always(() => tracer.close());

const [ADDED, COUNTED, ABORTS, START, END, ENOUGH] = [1, 2, 3, 4, 5, 6];
/** Stops that must land inside of the sequence; how many stops that takes depends on the machine. */
const HITS = 25;
const RIP = 16;	// of struct user_regs_struct

/** Was the first thread within the sequence? */
function inside(target: Target): boolean {
	const general = tracer.registers().find(({ tid }) => tid === target.pid)?.general;
	const rip = general === undefined ? 0n : new BigUint64Array(general.slice().buffer)[RIP] ?? 0n;
	return rip >= BigInt(target.number(START)) && rip < BigInt(target.number(END));
}

for (const [name, stop] of [
	['injections', (pid: number): void => void duplicated(tracer, pid)],
	['holds', (pid: number): void => { tracer.hold(pid); tracer.letGo(); }],
] as const)
	test(`no addition is lost to ${name}`, async (t) => {
		const target = await start(t, 'rseq', 3);
		if (target.process.exitCode !== null) {
			t.log(await target.line());
			t.pass();
			return;
		}
		let hits = 0, stops = 0;
		for (; hits < HITS && stops < 2000; stops++) {
			stop(target.pid);
			if (inside(target)) hits++;
			if (stops % 8 === 0) await sleep(0);
		}
		target.word[ENOUGH] = 1n;
		t.is(await target.line(), 'done');
		t.log(
			`${hits} of ${stops} stops landed inside; ${target.number(ABORTS)} aborts, ${target.number(ADDED)} ` +
				`additions`
		);
		t.is(hits, HITS, `only ${hits} of ${stops} stops landed inside`);
		t.true(target.number(ABORTS) > 0);
		t.is(target.number(COUNTED), target.number(ADDED));
	});
