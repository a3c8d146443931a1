import java.io.RandomAccessFile;
import java.lang.management.ManagementFactory;
import java.lang.reflect.Method;
import java.nio.MappedByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.*;
import java.util.*;
import java.util.concurrent.locks.LockSupport;

/** What the JVMs of scripts/situations.sh do: Situation WHAT [NUMBER OR NAME]... Each says READY when it is there. */
public class Situation {
    static Object keep;
    static volatile long sink;
    static volatile boolean there;

    public static void main(String[] args) throws Exception {
        String what = args.length == 0 ? "idle" : args[0];
        switch (what) {
            case "idle": break;
            case "arrays": arrays(number(args, 1), number(args, 2)); break;
            case "one-array": keep = new int[number(args, 1)]; break;
            case "map": map(args[1]); break;
            case "threads": threads(number(args, 1)); break;
            case "collect": collect(number(args, 1)); break;
            case "classes": classes(number(args, 1)); break;
            case "lambdas": keep = new Lambdas().make(number(args, 1)); break;
            case "virtual": virtual(number(args, 1)); break;
            case "parked": parked(number(args, 1)); break;
            case "wait": wait8(); break;
            case "collected": for (int i = 0; i < number(args, 1); i++) { churn(1 << 20); System.gc(); } break;
            case "oom": keep = new ArrayList<Object>(); System.out.println("READY"); for (;;) ((List<Object>) keep).add(new long[1 << 16]);
            case "locals": spawn("locals", () -> locals("a text of its own", 0x1234567890abcL, 4711, 'x')); waitThere(); break;
            case "native": Native.run(args[1]); break;
            case "live": live(number(args, 1)); break;
            default: throw new IllegalArgumentException(what);
        }
        System.out.println("READY");
        for (;;) Thread.sleep(100_000);
    }

    static int number(String[] args, int i) { return Integer.parseInt(args[i]); }

    static void waitThere() throws Exception { while (!there) Thread.sleep(1); Thread.sleep(50); }

    static Thread spawn(String name, Runnable r) {
        Thread t = new Thread(r, name);
        t.setDaemon(true);
        t.start();
        return t;
    }

    /** Arrays of int that a thread writes to all the time. */
    static void arrays(int count, int length) {
        int[][] all = new int[count][length];
        keep = all;
        System.gc();
        spawn("writer", () -> {
            for (int round = 1; ; round++)
                for (int[] a : all)
                    for (int i = 0; i < a.length; i += 512) a[i] = round;
        });
    }

    /** A file that is mapped read-only and then deleted. */
    static void map(String name) throws Exception {
        Path file = Paths.get(name);
        try (FileChannel c = FileChannel.open(file, StandardOpenOption.READ)) {
            MappedByteBuffer b = c.map(FileChannel.MapMode.READ_ONLY, 0, c.size());
            b.load();
            keep = b;
        }
        Files.delete(file);
    }

    static void threads(int n) {
        Object never = new Object();
        for (int i = 0; i < n; i++) {
            Thread t = new Thread(null, LockSupport::park, "parked-" + i, 1 << 17);
            t.setDaemon(true);
            t.start();
        }
    }

    /** Live objects in millions of bytes, kept in a tree of small arrays. */
    static void live(int mb) { keep = tree(mb * 16_000 / 10); }

    static Object[] tree(int n) {
        Object[] all = new Object[n];
        for (int i = 0; i < n; i++) all[i] = new Object[] {i, new byte[8], null};
        return all;
    }

    /** Collects for so many percent of the time. */
    static void collect(int percent) {
        keep = tree(400_000);
        spawn("collector", () -> {
            for (;;) {
                long t = System.nanoTime();
                System.gc();
                t = System.nanoTime() - t;
                if (percent < 100) LockSupport.parkNanos(t * (100 - percent) / percent);
            }
        });
    }

    static void churn(int bytes) { for (int i = 0; i < bytes; i += 128) sink += new byte[100].length; }

    /** Hidden classes with an instance each. */
    static void classes(int n) throws Exception {
        byte[] code;
        try (java.io.InputStream in = Situation.class.getResourceAsStream("Situation$Tiny.class")) {
            java.io.ByteArrayOutputStream out = new java.io.ByteArrayOutputStream();
            for (int b; (b = in.read()) >= 0; ) out.write(b);
            code = out.toByteArray();
        }
        Class<?> options = Class.forName("java.lang.invoke.MethodHandles$Lookup$ClassOption");
        Method define = java.lang.invoke.MethodHandles.Lookup.class.getMethod("defineHiddenClass", byte[].class, boolean.class,
            java.lang.reflect.Array.newInstance(options, 0).getClass());
        Object none = java.lang.reflect.Array.newInstance(options, 0);
        java.lang.invoke.MethodHandles.Lookup here = java.lang.invoke.MethodHandles.lookup();
        Method its = java.lang.invoke.MethodHandles.Lookup.class.getMethod("lookupClass");
        Object[] all = new Object[n];
        for (int i = 0; i < n; i++) all[i] = ((Class<?>) its.invoke(define.invoke(here, code, false, none)));
        keep = all;
    }

    static class Tiny { }

    /** A virtual thread that parked at its deepest, and computes now. */
    static void virtual(int depth) throws Exception {
        startVirtual("deep", () -> deep(depth));
        waitThere();
    }

    static void deep(int n) {
        if (n > 0) {
            deep(n - 1);
            sink++;
            return;
        }
        try { Thread.sleep(50); } catch (InterruptedException e) { return; }
        there = true;
        compute();
    }

    static void compute() { for (;;) sink = sink * 31 + 7; }

    static void parked(int n) throws Exception {
        List<Object> all = new ArrayList<>();
        for (int i = 0; i < n; i++) all.add(startVirtual("idle-" + i, () -> nap(1)));
        keep = all;
        startVirtual("vt-burns", () -> { there = true; compute(); });
        waitThere();
        Thread.sleep(200);
    }

    static void nap(int n) { if (n > 0) { nap(n - 1); sink++; } else LockSupport.park(); }

    static Object startVirtual(String name, Runnable r) throws Exception {
        Object builder = Thread.class.getMethod("ofVirtual").invoke(null);
        Class<?> type = Class.forName("java.lang.Thread$Builder$OfVirtual");
        builder = type.getMethod("name", String.class).invoke(builder, name);
        return type.getMethod("start", Runnable.class).invoke(builder, r);
    }

    /** A compiled Object.wait without locals in its caller (-Xcomp). */
    static void wait8() throws Exception {
        Thread t = spawn("waits", Situation::waits);
        while (t.getState() != Thread.State.WAITING) Thread.sleep(10);
        Thread.sleep(200);
    }

    static final Object LOCK = new Object();

    static void waits() {
        for (;;) {
            synchronized (LOCK) {
                try { LOCK.wait(); } catch (InterruptedException e) { return; }
            }
        }
    }

    static void locals(String text, long number, int small, char letter) {
        there = true;
        LockSupport.park();
        while (sink >= 0) LockSupport.park();
        System.out.println(text + number + small + letter);
    }
}
