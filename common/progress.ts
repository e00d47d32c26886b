/** How far it is, how fast and how long yet: on a terminal only. */
import { bytesText, durationText } from './format.ts';

const EVERY_MS = 200;

export function createProgress(
	what: string, screen: NodeJS.WriteStream = process.stderr
): { update: (done: number, total: number) => void; show: (text: string) => void; end: () => void } {
	const begun = performance.now();
	let last = begun;
	let shown = false;
	const showAt = (now: number, text: () => string): void => {
		if (!screen.isTTY || now - last < EVERY_MS) return;
		last = now;
		shown = true;
		screen.write(`\r\x1b[K${what}: ${text()}`);
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
