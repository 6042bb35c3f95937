// The programs of bpf/ as a program of user space, with maps and helpers of its own: walks stacks that it is told of on
// standard input, and says on standard output what the programs hand over. Everything is in words of 64 bits:
//   TABLE slot rows row...                  MAPPINGS count (6 words each)...
//   RULES count (2 words each)...           WALK origin ip sp fp lr words (address word)... by addresses
//   RUNTIME unwinder words word...          THREAD (thread pointer)
// What goroutines are found by is that of runtime 0.
// A walk is answered by: stop frames (2 words each)... bytes of labels (in words)... Where its number of words is ASK it has none, and before the answer
// each word that is read is asked for (ASK address), which is answered by: whether it is there, and the word.
#include "sample.bpf.c"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TABLE = 1, RULES = 2, MAPPINGS = 3, WALK = 4, RUNTIME = 5, THREAD = 6 };
#define ASK (~0ull)
#define PID 42
#define MAX_TABLES 64

struct known_word {
	u64 address, word;
};
static struct {
	u64 *rows;
	u64 count;
} known_tables[MAX_TABLES];
static struct mapping *known_mappings;
static struct unwind_rule *known_rules;
static u64 mapping_count, rule_count, word_count;
static struct known_word *known_words;
static struct process known_process;
static u64 *known_runtimes[RUNTIMES];
static struct walk *known_walks[ORIGINS];
static u64 known_counters[COUNTERS];
static struct task_struct task, next_task;
static struct user_regs *registers;

static jmp_buf next_program;
static int (*next)(void *ctx);
static int tail_calls;

static void bad(const char *what)
{
	fprintf(stderr, "replay: %s\n", what);
	exit(2);
}

static u64 read_word(void)
{
	u64 word;
	if (fread(&word, sizeof(word), 1, stdin) != 1)
		bad("the input ends early");
	return word;
}

// What was there is given back: whoever still reads it is found out.
static void *read_words(void *before, u64 words)
{
	free(before);
	u64 *read = malloc(words * sizeof(*read));
	if (words && (!read || fread(read, sizeof(*read), words, stdin) != words))
		bad("the input ends early");
	return read;
}

void *bpf_map_lookup_elem(void *map, const void *key)
{
	u32 place = *(const u32 *)key;
	if (map == &processes)
		return place == PID ? &known_process : NULL;
	if (map == &python_processes)
		return place == PID ? known_runtimes[UNWINDER_PYTHON] : NULL;
	if (map == &hotspot_processes)
		return place == PID ? known_runtimes[UNWINDER_HOTSPOT] : NULL;
	if (map == &v8_processes)
		return place == PID ? known_runtimes[UNWINDER_V8] : NULL;
	if (map == &ruby_processes)
		return place == PID ? known_runtimes[UNWINDER_RUBY] : NULL;
	if (map == &perl_processes)
		return place == PID ? known_runtimes[UNWINDER_PERL] : NULL;
	if (map == &php_processes)
		return place == PID ? known_runtimes[UNWINDER_PHP] : NULL;
	if (map == &go_processes)
		return place == PID ? known_runtimes[UNWINDER_NATIVE] : NULL;
	if (map == &dotnet_processes)
		return place == PID ? known_runtimes[UNWINDER_DOTNET] : NULL;
	if (map == &mappings)
		return place < mapping_count ? &known_mappings[place] : NULL;
	if (map == &tables)
		return place < MAX_TABLES && known_tables[place].rows ? &known_tables[place] : NULL;
	if (map == &rules)
		return place < rule_count ? &known_rules[place] : NULL;
	if (map == &walks)
		return place < ORIGINS ? known_walks[place] : NULL;
	if (map == &counters)
		return place < COUNTERS ? &known_counters[place] : NULL;
	for (int slot = 0; slot < MAX_TABLES; slot++)
		if (map == &known_tables[slot])
			return place < known_tables[slot].count ? &known_tables[slot].rows[place] : NULL;
	return NULL;
}

long bpf_map_update_elem(void *map, const void *key, const void *value, u64 flags)
{
	(void)map, (void)key, (void)value, (void)flags;
	return 0;
}

long bpf_map_delete_elem(void *map, const void *key)
{
	(void)map, (void)key;
	return 0;
}

u64 bpf_ktime_get_ns(void)
{
	return 1;
}

u32 bpf_get_prandom_u32(void)
{
	return 0;
}

// Does not come back where the program is there, as in the kernel.
long bpf_tail_call(void *ctx, void *programs, u32 index)
{
	(void)ctx;
	static int (*const known[][ORIGINS])(void *) = {
		[UNWINDER_NATIVE] = {(void *)native, (void *)native_off_cpu, (void *)native_probe},
		[UNWINDER_PYTHON] = {(void *)python, (void *)python_off_cpu, (void *)python_probe},
		[UNWINDER_HOTSPOT] = {(void *)hotspot, (void *)hotspot_off_cpu, (void *)hotspot_probe},
		[UNWINDER_V8] = {(void *)v8, (void *)v8_off_cpu, (void *)v8_probe},
		[UNWINDER_RUBY] = {(void *)ruby, (void *)ruby_off_cpu, (void *)ruby_probe},
		[UNWINDER_PERL] = {(void *)perl, (void *)perl_off_cpu, (void *)perl_probe},
		[UNWINDER_PHP] = {(void *)php, (void *)php_off_cpu, (void *)php_probe},
		[UNWINDER_DOTNET] = {(void *)dotnet, (void *)dotnet_off_cpu, (void *)dotnet_probe},
	};
	// MAX_TAIL_CALL_CNT
	if (index >= sizeof(known) / sizeof(*known) || !known[index][0] || ++tail_calls > 33)
		return -1;
	next = known[index][programs == &unwinders	   ? ORIGIN_CPU :
			    programs == &unwinders_off_cpu ? ORIGIN_OFF_CPU :
							     ORIGIN_PROBE];
	longjmp(next_program, 1);
}

long bpf_get_current_comm(void *buffer, u32 size)
{
	memset(buffer, 'x', size);
	return 0;
}

long bpf_get_stack(void *ctx, void *buffer, u32 size, u64 flags)
{
	(void)ctx, (void)buffer, (void)size, (void)flags;
	return -1;
}

u64 bpf_get_current_cgroup_id(void)
{
	return 1;
}

u64 bpf_get_current_ancestor_cgroup_id(int level)
{
	(void)level;
	return 0;
}

static int word_at(u64 address, u64 *word)
{
	if (word_count == ASK) {
		u64 question[2] = {ASK, address};
		fwrite(question, sizeof(question), 1, stdout);
		fflush(stdout);
		u64 is_there = read_word();
		*word = read_word();
		return is_there;
	}
	u64 low = 0, high = word_count;
	while (low < high) {
		u64 middle = (low + high) / 2;
		if (known_words[middle].address < address)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == word_count || known_words[low].address != address)
		return 0;
	*word = known_words[low].word;
	return 1;
}

long bpf_probe_read_user(void *to, u32 size, const void *from)
{
	u64 word = 0;
	for (u32 at = 0; at < size; at++) {
		u64 address = (u64)from + at;
		if ((!at || !(address & 7)) && !word_at(address & ~7ull, &word))
			return -1;
		((u8 *)to)[at] = word >> 8 * (address & 7);
	}
	return 0;
}

long bpf_probe_read_kernel(void *to, u32 size, const void *from)
{
	memcpy(to, from, size);
	return 0;
}

long bpf_ringbuf_output(void *ring, void *data, u64 size, u64 flags)
{
	(void)ring, (void)flags;
	struct sample *sample = data;
	if (sample->kind != RECORD_SAMPLE)
		return 0;
	// Of that size, for the sanitizer.
	sample = malloc(size);
	memcpy(sample, data, size);
	u64 frames = sample->user_frames, head[2] = {sample->stop, frames};
	fwrite(head, sizeof(head), 1, stdout);
	fwrite(&sample->words[sample->kernel_frames], 2 * sizeof(u64), frames, stdout);
	u64 bytes = sample->label_bytes, labels[(LABEL_BYTES + 7) / 8] = {};
	if (bytes > LABEL_BYTES)
		bad("too many labels");
	memcpy(labels, &sample->words[sample->kernel_frames + 2 * frames], bytes);
	fwrite(&bytes, sizeof(bytes), 1, stdout);
	fwrite(labels, sizeof(u64), (bytes + 7) / 8, stdout);
	fflush(stdout);
	free(sample);
	return 0;
}

u64 bpf_ringbuf_query(void *ring, u64 flags)
{
	(void)ring, (void)flags;
	return 0;
}

void *bpf_task_storage_get(void *map, struct task_struct *owner, void *value, u64 flags)
{
	(void)map, (void)owner, (void)value, (void)flags;
	return NULL;
}

struct task_struct *bpf_get_current_task_btf(void)
{
	return &task;
}

long bpf_task_pt_regs(struct task_struct *of)
{
	(void)of;
	return (long)registers;
}

static void walk_stack(void)
{
	u64 origin = read_word();
	struct bpf_perf_event_data *event = calloc(1, sizeof(*event));
	registers = &event->regs;
	u64 ip = read_word(), sp = read_word(), fp = read_word(), lr = read_word();
#if defined(__TARGET_ARCH_x86)
	registers->ip = ip;
	registers->sp = sp;
	registers->bp = fp;
	registers->cs = USER_CS;
	(void)lr;
#else
	registers->pc = ip;
	registers->sp = sp;
	registers->regs[29] = fp;
	registers->regs[30] = lr;
#endif
	word_count = read_word();
	if (word_count != ASK)
		known_words = read_words(known_words, word_count * 2);
	known_process = (struct process){.count = mapping_count};
	if (known_runtimes[UNWINDER_NATIVE])
		known_process.flags = PROCESS_GO;
	u64 switches[4] = {0, (u64)&task, (u64)&next_task, 0};
	void *ctx = origin == ORIGIN_OFF_CPU ? (void *)switches : event;
	tail_calls = 0;
	next = origin == ORIGIN_CPU	? (int (*)(void *))sample :
	       origin == ORIGIN_OFF_CPU ? (int (*)(void *))switched :
					  (int (*)(void *))probe;
	setjmp(next_program);
	next(ctx);
	registers = NULL;
	free(event);
}

int main(void)
{
	u64 what;
	task.tgid = task.pid = PID;
	off_cpu_threshold = 1ull << 32;
	go_labels = 1;
	for (int origin = 0; origin < ORIGINS; origin++)
		known_walks[origin] = calloc(1, sizeof(struct walk));
	while (fread(&what, sizeof(what), 1, stdin) == 1) {
		if (what == TABLE) {
			u64 slot = read_word(), count = read_word();
			if (slot >= MAX_TABLES)
				bad("too many tables");
			known_tables[slot].rows = read_words(known_tables[slot].rows, count);
			known_tables[slot].count = count;
		} else if (what == RULES) {
			rule_count = read_word();
			known_rules = read_words(known_rules, rule_count * 2);
		} else if (what == MAPPINGS) {
			mapping_count = read_word();
			known_mappings = read_words(known_mappings, mapping_count * 6);
		} else if (what == RUNTIME) {
			u64 unwinder = read_word(), words = read_word();
			if (unwinder >= RUNTIMES)
				bad("no such runtime");
			known_runtimes[unwinder] = read_words(known_runtimes[unwinder], words);
		} else if (what == THREAD) {
#if defined(__TARGET_ARCH_x86)
			task.thread.fsbase = read_word();
#else
			task.thread.uw.tp_value = read_word();
#endif
		} else if (what == WALK) {
			walk_stack();
		} else {
			bad("no such command");
		}
	}
	return 0;
}
