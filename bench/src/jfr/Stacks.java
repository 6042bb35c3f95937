import java.util.SplittableRandom;

/** Calls `leaf` from random stacks: arguments are how often, how deep, and among how many methods each step chooses. */
public final class Stacks {
    private static final SplittableRandom RANDOM = new SplittableRandom(1);

    private static volatile long sink;

    public static void main(String[] arguments) {
        int calls = Integer.parseInt(arguments[0]);
        int depth = Integer.parseInt(arguments[1]);
        int choices = Integer.parseInt(arguments[2]);
        for (int i = 0; i < calls; i++) {
            step(depth / 2 + RANDOM.nextInt(depth / 2), choices);
        }
    }

    static void leaf() {
        sink++;
    }

    private static void step(int left, int choices) {
        if (left == 0) {
            leaf();
            return;
        }
        switch (RANDOM.nextInt(choices)) {
            case 0 -> first(left - 1, choices);
            case 1 -> second(left - 1, choices);
            case 2 -> third(left - 1, choices);
            default -> fourth(left - 1, choices);
        }
    }

    private static void first(int left, int choices) {
        step(left, choices);
    }

    private static void second(int left, int choices) {
        step(left, choices);
    }

    private static void third(int left, int choices) {
        step(left, choices);
    }

    private static void fourth(int left, int choices) {
        step(left, choices);
    }
}
