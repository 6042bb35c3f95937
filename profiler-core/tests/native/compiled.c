// compiled-x86_64.elf and compiled-aarch64.elf are made of this by Debian's clang 19.1 and lld 19.1:
//   clang-19 --target=x86_64-linux-gnu -O2 -fomit-frame-pointer -fPIC -shared -nostdlib -fuse-ld=lld
//     -Wl,-s,--build-id,-z,lazy,-z,noseparate-code,-z,max-page-size=4096 -o compiled-x86_64.elf compiled.c
//   the same with --target=aarch64-linux-gnu -mbranch-protection=pac-ret
extern int outside(int);

__attribute__((noinline)) int leaf(int a) {
	return a * 3;
}

__attribute__((noinline)) int caller(int a) {
	return outside(a) + leaf(a);
}

__attribute__((noinline)) int grow(int a) {
	volatile char *bytes = __builtin_alloca(a);
	bytes[0] = 1;
	return outside(a) + bytes[0];
}

__attribute__((noinline)) int large(int a) {
	volatile char bytes[100000];
	bytes[a] = 1;
	return outside(a) + bytes[a];
}
