import io.pyroscope.javaagent.PyroscopeAgent;

/**
 * A busy program under io.pyroscope:agent as -javaagent, which takes its settings from the environment: it sends
 * JFR to PYROSCOPE_SERVER_ADDRESS while the program runs.
 */
public final class Busy {
    private static final long UPLOAD_INTERVAL_MILLISECONDS = 3_000;

    private static volatile long sink;

    public static void main(String[] arguments) {
        if (!PyroscopeAgent.isStarted()) {
            System.err.println("the agent is not running: start this program with -javaagent");
            System.exit(1);
        }
        // The first interval has a random length; this is long enough for it and a whole one.
        burnCpuWhileRunning(System.currentTimeMillis() + 2 * UPLOAD_INTERVAL_MILLISECONDS + 1_000);
        // Ends the recording; what was recorded since the last upload is not sent.
        PyroscopeAgent.stop();
    }

    private static void burnCpuWhileRunning(long until) {
        while (System.currentTimeMillis() < until) {
            sink = hash(sink);
        }
    }

    private static long hash(long seed) {
        long hash = seed;
        for (int i = 0; i < 100_000; i++) {
            hash = hash * 6364136223846793005L + 1442695040888963407L;
        }
        return hash;
    }
}
