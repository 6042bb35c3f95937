/* Functions that are inlined, aliases, labels without a size. As it was compiled:
   cc -O2 -g -gdwarf-4 -fPIC -shared -nostdlib -fdebug-prefix-map=$PWD=/source -Wl,--build-id=none \
     -Wl,-z,noseparate-code -o named-x86_64.elf named.c */
static inline __attribute__((always_inline)) int innermost(volatile int *value) { return *value * 3; }

static inline __attribute__((always_inline)) int middle(volatile int *value) { return innermost(value) + *value; }

int outermost(volatile int *value) { return middle(value) + innermost(value); }

int another_name(volatile int *value) __attribute__((alias("outermost")));

static __attribute__((noinline)) int hidden(int value) { return value ^ 0x55; }

int caller(int value) { return hidden(value) + 1; }

__asm__(".text\n.globl by_hand\nby_hand: ret\nbehind: ret\n");
