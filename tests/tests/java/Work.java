/**
 * Works in a way for each kind of profile, until it is killed. Its argument says for how many milliseconds it rests after
 * each 10 of work.
 */
public final class Work {
    private static final Object LOCK = new Object();

    private static volatile long sink;
    private static volatile byte[] kept;

    public static void main(String[] arguments) {
        int rest = Integer.parseInt(arguments[0]);
        start("burner", () -> burn(rest));
        start("allocator", Work::allocate);
        start("holder", Work::hold);
        start("enterer", Work::enter);
        start("sleeper", Work::nap);
        System.out.println("working");
    }

    private static void burn(int rest) {
        while (true) {
            long until = System.nanoTime() + 10_000_000;
            while (System.nanoTime() < until) {
                sink = hash(sink);
            }
            pause(rest);
        }
    }

    private static long hash(long seed) {
        long hash = seed;
        for (int i = 0; i < 10_000; i++) {
            hash = hash * 6364136223846793005L + 1442695040888963407L;
        }
        return hash;
    }

    private static void allocate() {
        while (true) {
            for (int i = 0; i < 64; i++) {
                kept = new byte[4096];
            }
            pause(5);
        }
    }

    private static void hold() {
        while (true) {
            synchronized (LOCK) {
                pause(30);
            }
            pause(5);
        }
    }

    private static void enter() {
        while (true) {
            synchronized (LOCK) {
                sink++;
            }
            pause(1);
        }
    }

    private static void nap() {
        while (true) {
            pause(100);
        }
    }

    private static void pause(int milliseconds) {
        try {
            if (milliseconds > 0) {
                Thread.sleep(milliseconds);
            }
        } catch (InterruptedException interrupted) {
            throw new IllegalStateException(interrupted);
        }
    }

    private static void start(String name, Runnable work) {
        new Thread(work, name).start();
    }
}
