// SPDX-License-Identifier: MIT
/* payload: two texts in its file, so far from all that it uses that no page of them is ever mapped: in code, in data.
 */
#include "target.h"

asm(".section .text\n .balign 0x1000\n .skip 0x40000, 0xcc\n .ascii \"PAYLOAD-TEXT-IN-CODE\"\n .balign 0x1000\n .skip "
	"0x40000, 0xcc\n"
	".section .rodata\n .balign 0x1000\n .skip 0x40000\n .ascii \"PAYLOAD-TEXT-IN-DATA\"\n .balign 0x1000\n .skip "
	"0x40000\n .previous\n");

int main(void)
{
	ready();
	for (;;)
		pause();
}
