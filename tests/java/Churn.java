import java.util.concurrent.ThreadLocalRandom;

/**
 * Threads that make chains and throw others away, so that a collector has to move what is left. Every chain that can
 * be reached is whole at every moment: it is published when it is finished, and never changed.
 *
 * <p>Arguments: threads, milliseconds of rest after each chain (0 for none).
 */
public class Churn {
    static final int CHAINS = 64;
    static final int LENGTH = 400;

    static final class Node {
        final int number;
        final Node next;
        final byte[] bytes;
        final long[] longs;

        Node(int number, Node next) {
            this.number = number;
            this.next = next;
            bytes = new byte[number % 97];
            java.util.Arrays.fill(bytes, (byte) number);
            longs = new long[number % 13];
            java.util.Arrays.fill(longs, 0x0123456789abcdefL * (number + 1));
        }
    }

    /** Each holds the first Node of a chain: number LENGTH - 1, down to 0. */
    static final Node[] HEADS = new Node[CHAINS];
    /** Small and large arrays that lead to the same nodes. */
    static final Object[] OTHERS = new Object[CHAINS];

    static Node chain() {
        Node n = null;
        for (int i = 0; i < LENGTH; i++) n = new Node(i, n);
        return n;
    }

    static Object other(Node n) {
        Object[] all = new Object[ThreadLocalRandom.current().nextInt(10) == 0 ? 60_000 : 10];
        java.util.Arrays.fill(all, n);
        return all;
    }

    static void turn(int i) {
        Node n = chain();
        Object o = other(n);
        HEADS[i] = n;
        OTHERS[i] = o;
    }

    public static void main(String[] args) throws Exception {
        int threads = Integer.parseInt(args[0]), rest = Integer.parseInt(args[1]);
        for (int i = 0; i < CHAINS; i++) turn(i);
        for (int t = 0; t < threads; t++) {
            Thread thread = new Thread(() -> {
                try {
                    while (true) {
                        turn(ThreadLocalRandom.current().nextInt(CHAINS));
                        if (rest > 0) Thread.sleep(rest);
                    }
                } catch (InterruptedException e) {
                    throw new IllegalStateException(e);
                }
            }, "churn " + t);
            thread.setDaemon(true);
            thread.start();
        }
        System.out.println("READY " + ProcessHandle.current().pid());
        System.in.read();
    }
}
