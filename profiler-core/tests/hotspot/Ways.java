// Works in one function that many ways lead to, by chance: its callers alone tell them apart. Ends with its input.
import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;
import java.lang.reflect.Method;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HashMap;
import java.util.Iterator;
import java.util.Optional;
import java.util.Random;
import java.util.function.Function;
import java.util.function.LongUnaryOperator;
import java.util.stream.LongStream;

final class Ways {
    static final int ROUNDS = 50_000;
    static long kept;

    static long work(long seed) {
        long value = seed;
        for (int number = 0; number < ROUNDS; number++) {
            value = (value * 31 + number) % 65521;
        }
        return value;
    }

    static long descend(int depth) {
        return depth > 0 ? descend(depth - 1) + 1 : work(depth);
    }

    interface Shape {
        long area();

        default long twice() {
            return area() + 1;
        }
    }

    static class Square implements Shape {
        @Override
        public long area() {
            return work(1);
        }

        synchronized long locked() {
            return work(2);
        }
    }

    static final class Cube extends Square {
        @Override
        public long area() {
            return super.area() + 1;
        }
    }

    static final class Made {
        final long value;

        Made(long seed) {
            value = work(seed);
        }
    }

    // Its method is asked for through a bridge, which takes any object.
    static final class Generic implements Function<Long, Long> {
        @Override
        public Long apply(Long seed) {
            return work(seed);
        }
    }

    static final class Counting implements Iterable<Long> {
        @Override
        public Iterator<Long> iterator() {
            return new Iterator<>() {
                private boolean isOver;

                @Override
                public boolean hasNext() {
                    return !isOver;
                }

                @Override
                public Long next() {
                    isOver = true;
                    return work(3);
                }
            };
        }
    }

    static final class Failure extends RuntimeException {
        Failure() {
            super(null, null, false, false);
        }
    }

    static final Cube CUBE = new Cube();
    static final Function<Long, Long> GENERIC = new Generic();
    static final LongUnaryOperator REFERENCE = Ways::work;
    static final LongUnaryOperator COMPOSED = REFERENCE.andThen(value -> value + 1);
    static final Long[] ITEMS = {1L, 2L};
    static final Method REFLECTED;
    static final MethodHandle HANDLE;

    static {
        try {
            REFLECTED = Ways.class.getDeclaredMethod("work", long.class);
            MethodType type = MethodType.methodType(long.class, long.class);
            HANDLE = MethodHandles.lookup().findStatic(Ways.class, "work", type);
        } catch (ReflectiveOperationException error) {
            throw new ExceptionInInitializerError(error);
        }
    }

    static long failing() {
        throw new Failure();
    }

    static long failure() {
        try {
            return failing();
        } catch (Failure error) {
            return work(4);
        }
    }

    static long many(long... seeds) {
        long sum = 0;
        for (long seed : seeds) {
            sum += work(seed);
        }
        return sum;
    }

    static long way(int number) throws Throwable {
        switch (number) {
            case 0:
                return descend(7);
            case 1:
                return CUBE.twice();
            case 2:
                return CUBE.locked();
            case 3:
                return new Made(5).value;
            case 4:
                return GENERIC.apply(6L);
            case 5:
                return REFERENCE.applyAsLong(7);
            case 6:
                return COMPOSED.applyAsLong(8);
            case 7:
                for (long value : new Counting()) {
                    return value;
                }
                return 0;
            case 8:
                Arrays.sort(ITEMS, Comparator.comparing(item -> work(item)));
                return 0;
            case 9:
                return LongStream.of(9).map(Ways::work).filter(value -> value > 0).sum();
            case 10:
                return Optional.of(10L).map(value -> work(value)).get();
            case 11:
                return new HashMap<Long, Long>().computeIfAbsent(11L, key -> work(key));
            case 12:
                return (Long) REFLECTED.invoke(null, 12L);
            case 13:
                return (long) HANDLE.invokeExact(13L);
            case 14:
                return failure();
            default:
                return many(14, 15);
        }
    }

    static void run() {
        Random chance = new Random(1);
        while (true) {
            try {
                kept += way(chance.nextInt(16));
            } catch (Throwable error) {
                throw new IllegalStateException(error);
            }
        }
    }

    public static void main(String[] arguments) throws Exception {
        Thread thread = new Thread(Ways::run, "work-0");
        thread.setDaemon(true);
        thread.start();
        while (System.in.read() >= 0) {
        }
        System.exit(0);
    }
}
