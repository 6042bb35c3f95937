// As truth.c, with what C++ has: alpha below templates and virtual functions, beta below std::sort and a lambda, gamma
// where an exception is caught that three functions let through.
#include <algorithm>
#include <atomic>
#include <cstdio>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <unistd.h>
#include <vector>

static std::atomic<unsigned long> done[3];
static volatile unsigned long sink;
static const unsigned long ROUNDS = 40000;

#define WORK(name, place)                                                                                              \
	extern "C" __attribute__((noinline)) void name()                                                               \
	{                                                                                                              \
		unsigned long value = sink;                                                                            \
		for (unsigned long i = 0; i < ROUNDS; i++)                                                             \
			value = value * 6364136223846793005UL + i;                                                     \
		sink = value;                                                                                          \
		done[place]++;                                                                                         \
	}
WORK(alpha, 0)
WORK(beta, 1)
WORK(gamma_, 2)

struct Layer {
	virtual ~Layer() = default;
	virtual unsigned long down(int depth) = 0;
};

template <typename Value> struct Deep : Layer {
	Value value{};
	__attribute__((noinline)) unsigned long down(int depth) override
	{
		std::string text(static_cast<std::size_t>(depth % 7 + 20), 'x');
		if (depth)
			sink = sink + down(depth - 1);
		else
			alpha();
		return text.size() + static_cast<unsigned long>(value);
	}
};

__attribute__((noinline)) static void let_through(int depth)
{
	std::string held(30, 'y');
	if (!depth)
		throw std::runtime_error(held);
	let_through(depth - 1);
	sink = sink + held.size();
}

static void run(unsigned seed)
{
	std::minstd_rand chance(seed);
	std::unique_ptr<Layer> layers[] = {std::make_unique<Deep<int>>(), std::make_unique<Deep<double>>()};
	for (;;) {
		unsigned drawn = chance() % 10;
		if (drawn < 5) {
			sink = sink + layers[drawn % 2]->down(200);
		} else if (drawn < 8) {
			std::vector<int> values = {2, 1};
			std::sort(values.begin(), values.end(), [](int a, int b) {
				beta();
				return a < b;
			});
		} else {
			try {
				let_through(3);
			} catch (const std::exception &) {
				gamma_();
			}
		}
	}
}

int main()
{
	for (unsigned seed = 1; seed <= 2; seed++)
		std::thread(run, seed).detach();
	char byte;
	while (read(0, &byte, 1) > 0)
		;
	std::printf("alpha %lu\nbeta %lu\ngamma_ %lu\n", done[0].load(), done[1].load(), done[2].load());
	std::fflush(stdout);
	_exit(0);
}
