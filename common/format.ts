/** Sizes and times for people. Pure. */

/** `12 KiB`, `1.5 MiB`. What would be rounded up to 1024 is of the next unit. */
export function bytesText(bytes: number): string {
	if (bytes > 1023 * 2 ** 10) {
		return bytes >= 1023.95 * 2 ** 20
			? `${(bytes / 2 ** 30).toFixed(1)} GiB`
			: `${(bytes / 2 ** 20).toFixed(1)} MiB`;
	}
	return `${Math.ceil(bytes / 1024)} KiB`;
}

/** `312 µs`, `4.1 ms`, `2.0 s`. */
export function durationText(ns: number): string {
	if (ns >= 999_950_000) return `${(ns / 1e9).toFixed(1)} s`;
	return ns >= 999_500 ? `${(ns / 1e6).toFixed(1)} ms` : `${Math.round(ns / 1e3)} µs`;
}

/** The same of a bound: rounded up, so that what it bounds is never longer. */
export function atMostText(ns: number): string {
	if (ns > 999_900_000) return `${(Math.ceil(ns / 1e8) / 10).toFixed(1)} s`;
	return ns > 999_000 ? `${(Math.ceil(ns / 1e5) / 10).toFixed(1)} ms` : `${Math.ceil(ns / 1e3)} µs`;
}
