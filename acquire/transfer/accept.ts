/** Does a seal fit the bytes that came, and this transfer? Pure. */
import { FILES, type Seal } from '../evidence/folder.ts';
import { parseManifest } from '../evidence/manifest-schema.ts';
import { fingerprint, isSigned, publicKeyFrom } from '../evidence/seal.ts';
import { messageOf } from '../../common/errors.ts';

/** SHA-256 of the key that sealed it, or what is wrong. */
export function acceptSeal(
	seal: Seal, { id, bytes, root, leaves }: { id: string; bytes: number; root: string; leaves: Uint8Array },
	trustedKeys: readonly Uint8Array[] = []
): { signedBy: string } | { fault: string } {
	try {
		const key = publicKeyFrom(seal.publicKey, FILES.publicKey);
		const signedBy = fingerprint(key);
		const trusted = trustedKeys.map((each) => fingerprint(publicKeyFrom(each, 'a trusted key')));
		if (trusted.length > 0 && !trusted.includes(signedBy)) {
			const which = trusted.length === 1 ? 'not the key that is' : 'none of the keys that are';
			return { fault: `a manifest sealed by ${signedBy}, which is ${which} trusted here` };
		}
		if (!isSigned(seal.manifest, seal.signature, key)) return { fault: 'a signature that is not of the manifest' };
		const { core, transfer, collector } = parseManifest(seal.manifest);
		if (collector.publicKeySha256 !== signedBy)
			return { fault: 'a manifest that names another key than that it is sealed by' };
		if (transfer?.id !== id) return { fault: 'a manifest of another transfer' };
		if (core.bytes !== bytes || core.merkleRoot !== root || !Buffer.from(leaves).equals(seal.leaves))
			return { fault: 'a manifest of other bytes than those that came' };
		return { signedBy };
	} catch (error) {
		return { fault: `a seal that is none: ${messageOf(error)}` };
	}
}
