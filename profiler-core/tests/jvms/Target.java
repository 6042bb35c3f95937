/** Burns CPU in a method that can be found in a recording, until its input ends. */
public final class Target {
    private static volatile long sink;

    private static void burnHere() {
        long sum = 0;
        for (int i = 0; i < 1_000_000; i++) {
            sum += Long.toString(i).hashCode();
        }
        sink = sum;
    }

    public static void main(String[] arguments) throws Exception {
        Thread busy = new Thread(() -> {
            while (true) {
                burnHere();
            }
        }, "busy");
        busy.setDaemon(true);
        busy.start();
        System.out.println("ready");
        while (System.in.read() >= 0) {}
    }
}
