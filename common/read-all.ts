import { readSync } from 'node:fs';

/** As many bytes as there is room for, fewer only at the file's end. Throws what read(2) gives. */
export function readAll(file: number, room: Uint8Array, at: number): number {
	let got = 0;
	for (let more = 1; more > 0 && got < room.length; got += more)
		more = readSync(file, room, got, room.length - got, at + got);
	return got;
}
