// What C++ makes of names: overloads, templates, operators, local functions; and what is inlined into what.
#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

namespace {

int hidden(int value) { return value * 3; }

struct Shape {
    virtual ~Shape() = default;
    virtual int area(int scale) const = 0;
};

template <typename Number>
struct Square : Shape {
    Number side;
    explicit Square(Number side) : side(side) {}
    int area(int scale) const override { return static_cast<int>(side * side) * scale; }
};

}  // namespace

namespace outer {

struct Value {
    int number;
    bool operator<(const Value &other) const { return number < other.number; }
    Value operator+(int more) const { return Value{number + more}; }
};

__attribute__((noinline)) int twice(int value) { return value + value; }
__attribute__((noinline)) int twice(double value) { return static_cast<int>(value + value); }

template <typename First, typename Second>
__attribute__((noinline)) Second sum(First first, Second second) {
    return static_cast<Second>(first) + second;
}

static inline __attribute__((always_inline)) int innermost(int value) {
    volatile int kept = value;
    return kept * kept;
}

static inline __attribute__((always_inline)) int middle(int value) {
    int result = innermost(value + 1);
    return result + innermost(value + 2);
}

__attribute__((noinline)) int outermost(int value) { return middle(value) - 1; }

}  // namespace outer

extern "C" int plain(int value) { return hidden(value); }

int main(int argc, char **) {
    std::vector<outer::Value> values;
    for (int i = 0; i < argc + 5; ++i) values.push_back(outer::Value{i * 7 % 5} + 1);
    std::sort(values.begin(), values.end());
    auto local = [&](int index) { return values.at(index).number; };
    Square<double> square(2.5);
    const Shape &shape = square;
    int result = outer::twice(argc) + outer::twice(1.5) + outer::sum<int, long>(1, 2) + outer::sum(1.0, 2.0F) + local(1);
    std::printf("%d\n", result + shape.area(argc) + outer::outermost(argc) + plain(argc));
    return 0;
}
