import java.lang.reflect.Proxy;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.locks.ReentrantLock;

/** Does for some milliseconds a little of all that recordings tell of. */
public final class Work {
    private static final Object MONITOR = new Object();
    private static final ReentrantLock LOCK = new ReentrantLock();
    private static final List<byte[]> LIVE = new ArrayList<>();

    private static volatile long sink;
    private static volatile Object kept;

    interface Step {
        void run() throws InterruptedException;
    }

    public static void main(String[] arguments) throws Exception {
        long end = System.nanoTime() + Long.parseLong(arguments[0]) * 1_000_000;
        Step proxy = (Step) Proxy.newProxyInstance(Work.class.getClassLoader(), new Class<?>[] {Step.class},
            (self, method, values) -> { deep(40); return null; });
        List<Thread> threads = new ArrayList<>();
        threads.add(start("burner", end, () -> burn(300_000)));
        threads.add(start("caller ü", end, proxy));
        threads.add(start("allocator", end, Work::allocate));
        threads.add(start("native", end, () -> { kept = ByteBuffer.allocateDirect(100_000); Thread.sleep(2); }));
        for (int i = 0; i < 2; i++) {
            threads.add(start("monitor-" + i, end, () -> { synchronized (MONITOR) { Thread.sleep(5); } }));
            threads.add(start("lock-" + i, end, () -> {
                LOCK.lock();
                try { Thread.sleep(5); } finally { LOCK.unlock(); }
            }));
        }
        for (Thread thread : threads) {
            thread.join();
        }
    }

    private static Thread start(String name, long end, Step step) {
        Thread thread = new Thread(() -> {
            try {
                while (System.nanoTime() < end) {
                    step.run();
                }
            } catch (InterruptedException interrupted) {
                throw new IllegalStateException(interrupted);
            }
        }, name);
        thread.start();
        return thread;
    }

    private static void burn(int rounds) {
        long hash = sink;
        for (int i = 0; i < rounds; i++) {
            hash = hash * 6364136223846793005L + 1442695040888963407L;
        }
        sink = hash;
    }

    private static void deep(int calls) {
        if (calls > 0) {
            deep(calls - 1);
        } else {
            burn(100_000);
        }
    }

    private static void allocate() throws InterruptedException {
        for (int i = 0; i < 300; i++) {
            kept = new byte[1000];
        }
        LIVE.add(new byte[100_000]);
        if (LIVE.size() > 50) {
            LIVE.clear();
        }
        Thread.sleep(1);
    }
}
