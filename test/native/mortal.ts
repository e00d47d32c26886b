/**
 * A requester that can be killed, or measured from outside:
 *   mortal.ts at STEP PID          dies at that step of a take
 *   mortal.ts at-end STEP PID      ... of an end
 *   mortal.ts duplicate|hold PID   holds it until it is killed
 *   mortal.ts copies PID           stops and copies without end
 *   mortal.ts cycles|copy-cycles N PID, starts N
 * Its first line of output is the tracer's pid; that of the last three, what grew.
 */
import { writeSync } from 'node:fs';
import { Tracer } from '../../native/index.ts';
import { footprint } from './footprint.ts';

const [verb, ...args] = process.argv.slice(2);
const numbers = args.map(Number);

const say = (what: unknown): void => void writeSync(1, `${JSON.stringify(what)}\n`);
const start = (): Tracer => {
	const tracer = Tracer.start();
	say(tracer.pid);
	return tracer;
};
const stay = (): Promise<never> => new Promise(() => setInterval(() => {}, 1000));
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

async function grown(rounds: number, pids: Record<string, number>, cycle: () => void): Promise<void> {
	const measure = async (): Promise<Record<string, unknown>> => {
		// The areas of closed tracers: node unmaps them in a turn of its own.
		for (let i = 0; i < 3; i++) {
			globalThis.gc?.();
			await turn();
		}
		return Object.fromEntries(Object.entries(pids).map(([name, pid]) => [name, footprint(pid)]));
	};
	const times = async (count: number): Promise<void> => {
		for (let i = 0; i < count; i++) {
			cycle();
			await turn();
		}
	};
	await times(Math.min(50, rounds / 4));		// what is made once and kept
	const before = await measure();
	await times(rounds);
	say({ before, after: await measure() });
}

switch (verb) {
	case 'at':
	case 'at-end': {
		const tracer = start();
		if (verb === 'at') tracer.killAt(args[0]!, 'requester');
		tracer.inject(numbers[1]!);
		if (verb === 'at-end') tracer.killAt(args[0]!, 'requester');
		tracer.end();
		say('alive');
		tracer.close();
		break;
	}
	case 'duplicate':
	case 'hold': {
		const tracer = start();
		if (verb === 'hold') tracer.hold(numbers[0]!);
		say(verb === 'hold' ? 0 : tracer.inject(numbers[0]!).pid);
		await stay();
		break;
	}
	case 'copies':
		for (const tracer = start();;) {
			say(tracer.stopCopy(numbers[0]!).bytes);
			tracer.end();
		}
	case 'cycles':
	case 'copy-cycles': {
		const tracer = start(), [rounds, pid] = numbers as [number, number];
		await grown(rounds, { requester: process.pid, tracer: tracer.pid, target: pid }, () => {
			if (verb === 'cycles') tracer.inject(pid);
			else tracer.stopCopy(pid);
			tracer.end();
		});
		tracer.close();
		break;
	}
	case 'starts':
		await grown(numbers[0]!, { requester: process.pid }, () => Tracer.start().close());
		break;
	default:
		throw new Error(`mortal.ts ${String(verb)}?`);
}
