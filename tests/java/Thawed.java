import java.io.FileDescriptor;
import java.io.FileInputStream;
import java.lang.reflect.Method;
import java.util.concurrent.CountDownLatch;

/**
 * Virtual threads that recurse, sleep, and then stay on their carriers: some in a read that never ends, and with
 * "spin" some that compute. When such a thread wakes, HotSpot brings back its innermost frames only, and a return
 * barrier stands for the rest. By reflection: the class is compiled for JDKs that have no virtual threads. Prints
 * "READY pid".
 */
public class Thawed {
    static final int[] DEPTHS = {0, 1, 2, 3, 7, 60, 600}, SPINNING = {2, 600};
    static volatile int sink;
    static volatile boolean warm = true;
    static CountDownLatch awake;

    /** Frames of several sizes, with objects that are used when the call has returned. */
    static int deep(int n, boolean spins, Object held) throws Exception {
        if (n == 0) return top(spins, held);
        Object mine = new int[] {n};
        int below = n % 3 == 0 ? wide(n - 1, spins, mine, n, n + 1L, n * 2.0, "text", held) : deep(n - 1, spins, mine);
        return below + mine.hashCode() + held.hashCode();
    }

    static int wide(int n, boolean spins, Object mine, int a, long b, double c, String d, Object held)
            throws Exception {
        int below = n <= 0 ? top(spins, mine) : deep(n - 1, spins, d);
        return below + a + (int) b + (int) c + mine.hashCode() + held.hashCode();
    }

    static int top(boolean spins, Object held) throws Exception {
        if (warm) return held.hashCode();
        Thread.sleep(50);
        awake.countDown();
        if (spins) return spin(held);
        int read = in.read();
        return read + held.hashCode();
    }

    static int spin(Object held) {
        int n = held.hashCode();
        while (true) {
            n = n * 31 + 1;
            if (n == 77) sink = n;
        }
    }

    static final FileInputStream in = new FileInputStream(FileDescriptor.in);

    static Runnable task(int depth, boolean spins) {
        Object held = "held " + depth;
        return () -> {
            try {
                sink = deep(depth, spins, held);
            } catch (Exception e) {
                throw new AssertionError(e);
            }
        };
    }

    public static void main(String[] args) throws Exception {
        boolean spins = args.length > 0 && args[0].equals("spin");
        for (int i = 0; i < 5000; i++) sink = deep(20, false, "warm");
        warm = false;
        int[] depths = spins ? SPINNING : DEPTHS;
        awake = new CountDownLatch(depths.length);
        Method start = Thread.class.getMethod("startVirtualThread", Runnable.class);
        for (int depth : depths) start.invoke(null, task(depth, spins));
        awake.await();
        Thread.sleep(500);
        System.out.println("READY " + ProcessHandle.current().pid());
        System.out.flush();
        Thread.sleep(Long.MAX_VALUE);
    }
}
