/**
 * Ctrl-C and SIGTERM: the round that runs is finished, everything is closed and
 * what was measured is kept. A second signal ends the process at once, as if
 * nobody had listened; the tracer then puts the targets back.
 */

export interface Interrupt {
	/** True once a signal has come. */
	readonly requested: boolean;
	/** Stop listening. */
	dispose: () => void;
}

const SIGNALS = ['SIGINT', 'SIGTERM'] as const;

/** One Ctrl-C can arrive twice: from the terminal, and again from npm, which passes it on. */
const ECHO_MS = 500;

export function listenForInterrupts(announce: (signal: string) => void, echoMs = ECHO_MS): Interrupt {
	let firstAt: number | undefined;
	const onSignal = (signal: NodeJS.Signals) => {
		const now = performance.now();
		if (firstAt === undefined) {
			firstAt = now;
			announce(signal);
		} else if (now - firstAt > echoMs) {
			dispose();
			process.kill(process.pid, signal);
		}
	};
	const dispose = () => {
		for (const signal of SIGNALS) {
			process.off(signal, onSignal);
		}
	};
	for (const signal of SIGNALS) {
		process.on(signal, onSignal);
	}
	return {
		get requested() {
			return firstAt !== undefined;
		},
		dispose,
	};
}
