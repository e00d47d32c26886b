/** A certificate is looked at when a link is made; a link may live longer than it is valid. */
import type { X509Certificate } from 'node:crypto';
import type { TLSSocket } from 'node:tls';

/** Of a timer: 2^31 - 1. */
const LONGEST_MS = 0x7fff_ffff;

/** When it is valid no more, the link ends. */
export function endAtExpiry(socket: TLSSocket, { validToDate }: X509Certificate): void {
	let timer: NodeJS.Timeout;
	const look = () => {
		const leftMs = validToDate.getTime() - Date.now();
		if (leftMs <= 0) {
			socket.destroy(new Error(`the peer's certificate was valid until ${validToDate.toISOString()}`));
			return;
		}
		timer = setTimeout(look, Math.min(leftMs + 1, LONGEST_MS)).unref();
	};
	look();
	socket.once('close', () => clearTimeout(timer));
}
