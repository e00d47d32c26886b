/** How far it is, how fast and how long yet: on a terminal only. */
import { bytesText, durationText } from './format.ts';

const EVERY_MS = 200;

export function createProgress(
	what: string, screen: NodeJS.WriteStream = process.stderr
): { update: (done: number, total: number) => void; end: () => void } {
	const begun = performance.now();
	let last = begun;
	let shown = false;
	return {
		update: (done, total) => {
			const now = performance.now();
			if (!screen.isTTY || now - last < EVERY_MS) return;
			last = now;
			shown = true;
			const rate = done / (now - begun) * 1000;
			screen.write(
				`\r\x1b[K${what}: ${bytesText(done)} of ${bytesText(total)}, ${bytesText(rate)}/s, ` +
					`${durationText((total - done) / rate * 1e9)} left`
			);
		},
		end: () => {
			if (shown) screen.write('\r\x1b[K');
		},
	};
}
