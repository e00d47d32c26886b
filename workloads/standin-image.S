/* SPDX-License-Identifier: MIT */
/*
 * standin-image.S - what makes the stand-in as large as the paper's bash
 *
 * `size` is to print text 978,305, data 36,536 and bss 23,512; the numbers below
 * are that, less what standin.c and its libraries have themselves. The bytes
 * are pseudo-random and never run: a page of zeros or of one repeated word
 * would be a kinder thing to read or to compare than a program is.
 */
#define TEXT_WORDS	121017
#define DATA_WORDS	4458
#define BSS_BYTES	23432

	.macro	noise words
	.rept	\words
	.quad	noise_value
	.set	noise_value, noise_value * 6364136223846793005 + 1442695040888963407
	.endr
	.endm

	.set	noise_value, 2015

	.text
	.balign	16
	.globl	image_text, image_text_end
image_text:
	noise	TEXT_WORDS
image_text_end:

	.data
	.balign	16
	.globl	image_data, image_data_end
image_data:
	noise	DATA_WORDS
image_data_end:

	.bss
	.balign	16
	.globl	image_bss, image_bss_end
image_bss:
	.zero	BSS_BYTES
image_bss_end:

	.section .note.GNU-stack, "", %progbits
