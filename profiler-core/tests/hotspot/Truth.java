// Does work in alpha, beta and gamma, on two threads: alpha below calls of its own, beta asked for through lambdas, gamma
// below a sort. When its input ends it says how many nanoseconds each took: of CPU time, or for virtual threads, which are
// not told theirs, of all time.
import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.util.Arrays;
import java.util.Random;
import java.util.function.LongSupplier;

final class Truth {
    static final int DEPTH = 30;
    static final int ROUNDS = 100_000;
    static final ThreadMXBean THREADS = ManagementFactory.getThreadMXBean();
    static boolean isVirtual;

    long alpha, beta, gamma;
    long kept;

    static long clock() {
        return isVirtual ? System.nanoTime() : THREADS.getCurrentThreadCpuTime();
    }

    static long mix(long value, long number) {
        return (value * 31 + number) % 65521;
    }

    long alpha() {
        long began = clock();
        long value = 0;
        for (int number = 0; number < ROUNDS; number++) {
            value = mix(value, number);
        }
        alpha += clock() - began;
        return value;
    }

    long beta() {
        long began = clock();
        long value = 1;
        for (int number = 0; number < ROUNDS; number++) {
            value = mix(value, number);
        }
        beta += clock() - began;
        return value;
    }

    int gamma(long seed) {
        long began = clock();
        long value = seed;
        for (int number = 0; number < ROUNDS; number++) {
            value = mix(value, number);
        }
        gamma += clock() - began;
        return (int) value;
    }

    long descend(int depth) {
        return depth > 0 ? descend(depth - 1) + 1 : alpha();
    }

    long asking(LongSupplier generator) {
        return generator.getAsLong() + 1;
    }

    void work(long seed) {
        Random chance = new Random(seed);
        Long[] items = {1L, 2L};
        while (true) {
            int number = chance.nextInt(10);
            if (number < 5) {
                kept += descend(DEPTH);
            } else if (number < 8) {
                kept += asking(() -> beta());
            } else {
                Arrays.sort(items, (left, right) -> gamma(left));
            }
            if (isVirtual) {
                rest(DEPTH);
            }
        }
    }

    // Lets another one have the carrier: its own frames are put away, and come back one by one.
    static int rest(int depth) {
        if (depth > 0) {
            return rest(depth - 1) + 1;
        }
        Thread.yield();
        return 0;
    }

    public static void main(String[] arguments) throws Exception {
        isVirtual = arguments.length > 0;
        Truth[] works = {new Truth(), new Truth()};
        for (int place = 0; place < works.length; place++) {
            int seed = place;
            Runnable run = () -> works[seed].work(seed);
            if (isVirtual) {
                Thread.class.getMethod("startVirtualThread", Runnable.class).invoke(null, run);
            } else {
                Thread thread = new Thread(run, "work-" + place);
                thread.setDaemon(true);
                thread.start();
            }
        }
        while (System.in.read() >= 0) {
        }
        System.out.println("alpha " + (works[0].alpha + works[1].alpha));
        System.out.println("beta " + (works[0].beta + works[1].beta));
        System.out.println("gamma " + (works[0].gamma + works[1].gamma));
        System.out.flush();
        System.exit(0);
    }
}
