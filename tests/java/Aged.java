import java.lang.management.GarbageCollectorMXBean;
import java.lang.management.ManagementFactory;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;

/**
 * Threads that wait deep in a recursion, each frame with an array of a length of its own that nothing else refers to,
 * while objects are moved and the memory they had is used again. Half of the threads then come back some frames and
 * wait again. An array holds 7 times its length. Prints "READY pid".
 */
public class Aged {
    static final int FIRST = 9400, THREADS = 6, DEPTH = 40, HALF_WAY = 10;
    static final CountDownLatch waiting = new CountDownLatch(THREADS), back = new CountDownLatch(THREADS / 2);
    static final CountDownLatch come = new CountDownLatch(1), end = new CountDownLatch(1);
    static final List<Object> kept = new ArrayList<>(2_500_000);
    static volatile Object sink;

    static int descend(int thread, int n) throws Exception {
        int[] mine = new int[FIRST + thread * DEPTH + n];
        mine[0] = mine.length * 7;
        // So few of a page live that its objects are moved.
        for (int i = 0; i < 10; i++) sink = new byte[40_000];
        int below = 0;
        if (n > 0) {
            below = descend(thread, n - 1);
        } else {
            waiting.countDown();
            (thread % 2 == 0 ? come : end).await();
        }
        if (n == HALF_WAY) {
            back.countDown();
            end.await();
        }
        return below + mine[0];
    }

    static long minor() {
        for (GarbageCollectorMXBean bean : ManagementFactory.getGarbageCollectorMXBeans()) {
            if (bean.getName().contains("Minor Cycles")) return bean.getCollectionCount();
        }
        throw new AssertionError("not the generational ZGC");
    }

    public static void main(String[] args) throws Exception {
        // It collects by itself until it has done so three times.
        for (int i = 0; i < 4; i++) System.gc();
        for (int i = 0; i < THREADS; i++) {
            int thread = i;
            Thread t = new Thread(() -> {
                try {
                    sink = descend(thread, DEPTH - 1);
                } catch (Exception e) {
                    throw new AssertionError(e);
                }
            });
            t.setDaemon(true);
            t.start();
        }
        waiting.await();
        // One collection of the young: the next would come to the stacks.
        for (long before = minor(); minor() == before; ) sink = new byte[16_000];
        // The pages that were emptied are given out again, so slowly that it sees no need for another.
        for (int i = 0; i < 2_500_000; i++) {
            kept.add(new long[] {i});
            if (i % 5_000 == 0) Thread.sleep(2);
        }
        come.countDown();
        back.await();
        System.out.println("READY " + ProcessHandle.current().pid());
        System.in.read();
    }
}
