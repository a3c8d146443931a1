import java.io.File;

/**
 * BigHeap with a thread that watches the clock: what stops the JVM shows as a gap between two readings.
 * On each line of standard input prints "GAP ms WORK n IN ms", the largest gap, the steps made and the time since the
 * last line, and starts anew. With -Dload=true the thread makes objects between two readings, a step each, and
 * -Dsleepers=N gives it so many threads beside it that sleep.
 */
public class Watched {
    static volatile long largest, work;
    /** So much of what it made last is alive: some 20 MB. */
    static final byte[][] MADE = new byte[1 << 17][];

    static void watch(boolean load) {
        long last = System.nanoTime();
        for (int i = 0; ; i++) {
            if (load) {
                for (int k = 0; k < 16; k++) MADE[i * 16 + k & MADE.length - 1] = new byte[100 + k * 8];
            }
            work++;
            long now = System.nanoTime();
            if (now - last > largest) largest = now - last;
            last = now;
        }
    }

    static void sleep() {
        try {
            Thread.sleep(Long.MAX_VALUE);
        } catch (InterruptedException e) {
            throw new IllegalStateException(e);
        }
    }

    static void start(String name, Runnable body) {
        Thread t = new Thread(null, body, name, 128 << 10);
        t.setDaemon(true);
        t.start();
    }

    public static void main(String[] args) throws Exception {
        BigHeap.fill(Long.parseLong(args[0]), args.length < 2 || args[1].equals("small"));
        for (int i = 0; i < Integer.getInteger("sleepers", 0); i++) start("sleeper " + i, Watched::sleep);
        System.gc();
        start("watcher", () -> watch(Boolean.getBoolean("load")));
        System.out.println("READY " + new File("/proc/self").getCanonicalFile().getName());
        System.out.flush();
        long since = System.nanoTime();
        for (int c; (c = System.in.read()) >= 0; ) {
            if (c != '\n') continue;
            long now = System.nanoTime();
            System.out.printf("GAP %.3f WORK %d IN %.3f%n", largest / 1e6, work, (now - since) / 1e6);
            System.out.flush();
            largest = work = 0;
            since = now;
        }
    }
}
