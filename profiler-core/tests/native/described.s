# What compilers seldom write; described-x86_64.elf is made of this:
#   clang-19 --target=x86_64-linux-gnu -shared -nostdlib -fuse-ld=lld -Wl,-s,-z,noseparate-code,-z,max-page-size=4096
#     -o described-x86_64.elf described.s
	.text
outermost:
	.cfi_startproc
	.cfi_undefined rip
	nop
	.cfi_endproc
	.p2align 4
trampoline:
	.cfi_startproc
	.cfi_signal_frame
	nop
	.cfi_endproc
	.p2align 4
undescribed:
	nop
	.p2align 4
# The frame's address is the word at rsp + 40, and 8 more: OpenSSL's.
kept_in_the_stack:
	.cfi_startproc
	nop
	.cfi_escape 0x0f, 0x05, 0x77, 40, 0x06, 0x23, 8
	nop
	.cfi_endproc
# The frame's address is the word at rbp - 16, the caller's rbp the word at rbp: GCC's, where it aligns the stack.
kept_in_the_frame:
	.cfi_startproc
	nop
	.cfi_def_cfa r10, 0
	nop
	.cfi_escape 0x10, 0x06, 0x02, 0x76, 0
	.cfi_escape 0x0f, 0x03, 0x76, 0x70, 0x06
	nop
	.cfi_endproc
# Linkers describe their tables so, with 11, or with 9 for indirect branch tracking.
linkage:
	.cfi_startproc
	nop
	.cfi_escape 0x0f, 0x0b, 0x77, 8, 0x80, 0, 0x3f, 0x1a, 0x3b, 0x2a, 0x33, 0x24, 0x22
	nop
	.cfi_escape 0x0f, 0x0b, 0x77, 8, 0x80, 0, 0x3f, 0x1a, 0x39, 0x2a, 0x33, 0x24, 0x22
	nop
	.cfi_endproc
remembered:
	.cfi_startproc
	nop
	.cfi_def_cfa_offset 16
	.cfi_offset rbp, -16
	nop
	.cfi_remember_state
	.cfi_restore rbp
	.cfi_def_cfa_offset 8
	nop
	.cfi_restore_state
	nop
	.cfi_endproc
# An offset that is no number of words, and one that is too large for a packed rule.
odd:
	.cfi_startproc
	.cfi_def_cfa_offset 12
	nop
	.cfi_def_cfa_offset 16376
	nop
	.cfi_def_cfa_offset 16384
	nop
	.cfi_endproc
# The caller's frame pointer cannot be found again.
lost:
	.cfi_startproc
	.cfi_register rbp, rbx
	nop
	.cfi_endproc
# An instruction that there is not: what stands before it holds.
damaged:
	.cfi_startproc
	nop
	.cfi_def_cfa_offset 24
	nop
	.cfi_escape 0x3b
	nop
	.cfi_endproc
