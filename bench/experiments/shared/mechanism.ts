import type { Lab, Mechanism, Variant } from '../../types.ts';

/** The mechanism that a variant is measured by. */
export function mechanismOf({ factors }: Pick<Variant, 'factors'>, { mechanisms }: Pick<Lab, 'mechanisms'>): Mechanism {
	const found = mechanisms.find(({ name }) => name === factors['mechanism']);
	if (found === undefined) {
		const names = mechanisms.map(({ name }) => name).join(', ') || 'none';
		throw new Error(`there is no mechanism ${factors['mechanism'] ?? '(none named)'} here: there are ${names}`);
	}
	return found;
}
