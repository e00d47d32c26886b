/** How far it is, how fast and how long yet: on a terminal in one line that changes, elsewhere a line now and then. */
import { bytesText, durationText } from './format.ts';
import { printable } from './terminal.ts';

const ON_SCREEN_EVERY_MS = 200;
/** In a log, often enough to see that it goes on. */
const IN_LOG_EVERY_MS = 10_000;

export function createProgress(
	what: string, screen: Pick<NodeJS.WriteStream, 'isTTY' | 'write'> = process.stderr, inLogEveryMs = IN_LOG_EVERY_MS
): { update: (done: number, total: number) => void; show: (text: string) => void; end: () => void } {
	const begun = performance.now();
	const everyMs = screen.isTTY ? ON_SCREEN_EVERY_MS : inLogEveryMs;
	let last = begun;
	let shown = false;
	const showAt = (now: number, text: () => string): void => {
		if (now - last < everyMs) return;
		last = now;
		const line = printable(`${what}: ${text()}`);
		if (!screen.isTTY) {
			screen.write(`procsnap: ${line}\n`);
			return;
		}
		shown = true;
		screen.write(`\r\x1b[K${line}`);
	};
	return {
		update: (done, total) => {
			const now = performance.now(), rate = done / (now - begun) * 1000;
			showAt(now, () =>
				`${bytesText(done)} of ${bytesText(total)}, ${bytesText(rate)}/s, ` +
					`${durationText((total - done) / rate * 1e9)} left`);
		},
		/** Instead, where how long it will take is not known. */
		show: (text) => showAt(performance.now(), () => text),
		end: () => {
			if (shown) screen.write('\r\x1b[K');
			shown = false;
		},
	};
}
