import java.io.File;

/**
 * BigHeap with a thread that watches the clock: what stops the JVM shows as a gap between two readings.
 * On each line of standard input prints "GAP ms", the largest since the last line, and starts anew.
 */
public class Watched {
    static volatile long largest;

    static void watch() {
        long last = System.nanoTime();
        while (true) {
            long now = System.nanoTime();
            if (now - last > largest) largest = now - last;
            last = now;
        }
    }

    public static void main(String[] args) throws Exception {
        Thread watcher = new Thread(Watched::watch, "watcher");
        watcher.setDaemon(true);
        BigHeap.fill(Long.parseLong(args[0]), args.length < 2 || args[1].equals("small"));
        System.gc();
        watcher.start();
        System.out.println("READY " + new File("/proc/self").getCanonicalFile().getName());
        System.out.flush();
        for (int c; (c = System.in.read()) >= 0; ) {
            if (c != '\n') continue;
            System.out.printf("GAP %.3f%n", largest / 1e6);
            System.out.flush();
            largest = 0;
        }
    }
}
