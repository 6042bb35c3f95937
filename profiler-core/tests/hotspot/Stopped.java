// Calls itself, and then a function in C that stops the process when it was called so often that all is compiled.
final class Stopped {
    static native long stopHere(long value);

    static long descend(int depth, long value) {
        return depth > 0 ? descend(depth - 1, value * 31) % 65521 : stopHere(value);
    }

    static long ask(java.util.function.LongUnaryOperator asked, long value) {
        return asked.applyAsLong(value) + 1;
    }

    public static void main(String[] arguments) {
        long value = 1;
        while (value != 0) {
            value = ask(depth -> descend(5, depth), value) | 1;
        }
    }
}
