import io.pyroscope.javaagent.PyroscopeAgent;
import io.pyroscope.javaagent.api.Logger;
import io.pyroscope.javaagent.config.Config;
import io.pyroscope.javaagent.impl.DefaultLogger;
import io.pyroscope.javaagent.impl.PyroscopeExporter;

/**
 * A busy program under io.pyroscope:agent, which takes its settings from the environment: it sends JFR to
 * PYROSCOPE_SERVER_ADDRESS while it runs, and the rest when it ends.
 */
public final class Busy {
    private static volatile long sink;

    public static void main(String[] arguments) {
        Config config = Config.build();
        Logger logger = new DefaultLogger(Logger.Level.INFO, System.err);
        // The agent's usual exporter queues; stop() interrupts its thread, whether or not the last recording was sent.
        PyroscopeAgent.start(
                new PyroscopeAgent.Options.Builder(config)
                        .setExporter(new PyroscopeExporter(config, logger))
                        .setLogger(logger)
                        .build());
        if (!PyroscopeAgent.isStarted()) {
            System.err.println("the agent did not start");
            System.exit(1);
        }
        long uploadInterval = config.uploadInterval.toMillis();
        burnCpuWhileRunning(System.currentTimeMillis() + uploadInterval + 1_000);
        burnCpuBeforeExit(System.currentTimeMillis() + 1_000);
        PyroscopeAgent.stop();
    }

    private static void burnCpuWhileRunning(long until) {
        while (System.currentTimeMillis() < until) {
            sink = hash(sink);
        }
    }

    private static void burnCpuBeforeExit(long until) {
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
