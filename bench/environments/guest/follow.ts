/** Passes on what is appended to a file, while it is. */
import { closeSync, openSync, readSync, watch } from 'node:fs';

export interface Follower {
	/** Passes on what is left, and stops. */
	close: () => void;
}

const PIECE = 64 * 1024;

/** Besides being told of changes it looks by itself: a watch may be out of reach (fs.inotify.max_user_watches). */
const LOOK_EVERY_MS = 250;

export function follow(file: string, onData: (data: Buffer) => void): Follower {
	const fd = openSync(file, 'a+', 0o666);
	let at = 0;
	const pass = () => {
		for (;;) {
			const buffer = Buffer.allocUnsafe(PIECE);
			const length = readSync(fd, buffer, 0, PIECE, at);
			if (length === 0) {
				return;
			}
			at += length;
			onData(buffer.subarray(0, length));
		}
	};
	const timer = setInterval(pass, LOOK_EVERY_MS);
	let watcher: { close: () => void } | undefined;
	try {
		watcher = watch(file, pass).on('error', () => {});
	} catch {
		// The timer is left.
	}
	return {
		close: () => {
			clearInterval(timer);
			watcher?.close();
			pass();
			closeSync(fd);
		},
	};
}
