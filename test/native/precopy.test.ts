/** precopy: a copy that is made while its target runs is the target as of one moment, whatever it does meanwhile. */
import type { ExecutionContext } from 'ava';
import { mechanism } from '../../mechanisms/precopy.ts';
import { testUnless } from '../unless.ts';
import { start, tracerFor, type Target } from './help.ts';
import { ShiftingThread } from './shifting.ts';

const precopyTest = testUnless(mechanism.unavailable());

async function shifting(t: ExecutionContext, threads: number, coldPages: number): Promise<{
	target: Target; oracles: ShiftingThread[];
}> {
	const target = await start(t, 'shifting', threads, coldPages), oracles: ShiftingThread[] = [];
	while (oracles.length < threads) oracles.push(new ShiftingThread(await target.line(), coldPages));
	return { target, oracles };
}

for (const [threads, coldPages, copies] of [[1, 512, 60], [3, 2048, 30]] as const)
	precopyTest(`memory that is written to, given up, moved, mapped anew: ${threads} threads`, async (t) => {
		const { target, oracles } = await shifting(t, threads, coldPages), tracer = tracerFor(t, { priority: 1 });
		for (let copy = 0; copy < copies; copy++) {
			const still = mechanism.open(tracer, target);
			for (const oracle of oracles)
				t.is(oracle.wrong((address, length) => still.read(BigInt(address), length)), null, `copy ${copy}`);
			still.end();
		}
		await target.runs(1);
	});
