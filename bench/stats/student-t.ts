/** For 1 to 30 degrees of freedom, to three decimals: any table of Student's t gives these. */
const TABLE = [
	12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131,
	2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
];

/** The 97.5th percentile of Student's t; beyond the table by Cornish and Fisher's expansion, right to 0.001. */
export function studentT975(degreesOfFreedom: number): number {
	const known = TABLE[degreesOfFreedom - 1];
	if (known !== undefined) {
		return known;
	}
	if (!Number.isInteger(degreesOfFreedom) || degreesOfFreedom < 1) {
		throw new RangeError(`Student's t of ${degreesOfFreedom} degrees of freedom: there is none`);
	}
	const z = 1.959964, v = degreesOfFreedom;
	return z + (z ** 3 + z) / (4 * v) + (5 * z ** 5 + 16 * z ** 3 + 3 * z) / (96 * v ** 2);
}
