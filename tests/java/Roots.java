import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;

/**
 * A thread for each way in which HotSpot keeps an object for a thread; the native half is tests/c/roots.c. The
 * objects are int[]s, told by their lengths, and the name of a class that only the VM holds.
 *
 * Roots LIBRARY [virtual]
 */
public class Roots {
    static final AtomicInteger parked = new AtomicInteger();
    static int started;

    static native void init();
    static native int blocked();
    static native void top(int length);
    static native void chain(int first, int count, int deleted);
    static native void pushed(int lower, int upper);
    static native void entry(int length);
    static native void outer(int outer, int inner);
    static native void pending(Throwable thrown);
    static native void monitor(int length);
    static native void globals(int strong, int weak);
    static native void attached(int length, boolean callsJava);

    static void park() {
        parked.incrementAndGet();
        while (true) LockSupport.park();
    }

    static void nested(int inner) {
        entry(inner);
    }

    /** An exception with an array of its own. */
    static class Thrown extends Exception {
        final int[] held;

        Thrown(int length) {
            super(null, null, false, false);
            held = new int[length];
        }
    }

    /** The VM asks for a class by a String of its own, which this forgets at once. */
    static class Forgetting extends ClassLoader {
        @Override
        public Class<?> loadClass(String name) throws ClassNotFoundException {
            if (!name.startsWith("held.")) return super.loadClass(name);
            name = null;
            park();
            throw new AssertionError();
        }
    }

    static void start(String name, Runnable body) {
        Thread t = new Thread(null, body, name);
        t.setDaemon(true);
        t.start();
        started++;
    }

    static void startVirtual(Runnable body) throws ReflectiveOperationException {
        Thread.class.getMethod("startVirtualThread", Runnable.class).invoke(null, body);
        started++;
    }

    static void load() {
        try {
            Class.forName("held.ByTheVm", false, new Forgetting());
        } catch (ClassNotFoundException e) {
            throw new AssertionError(e);
        }
    }

    public static void main(String[] args) throws Exception {
        System.load(args[0]);
        init();
        globals(9101, 9102);
        start("top", () -> top(9103));
        start("chain", () -> chain(9110, 70, 9104));
        start("pushed", () -> pushed(9181, 9182));
        start("entry", () -> entry(9183));
        start("outer", () -> outer(9184, 9185));
        start("pending", () -> pending(new Thrown(9186)));
        start("monitor", () -> monitor(9187));
        start("load", Roots::load);
        // Names of the VM's own threads, which HotSpot hides by their C++ class.
        start("Service Thread", Roots::park);
        start("C2 CompilerThread7", Roots::park);
        attached(9188, false);
        attached(9189, true);
        started += 2;
        if (args.length > 1) {
            startVirtual(() -> top(9190));
            startVirtual(() -> entry(9191));
        }
        while (parked.get() + blocked() < started) Thread.sleep(1);
        System.out.println("READY " + started);
        System.out.flush();
        while (System.in.read() >= 0) {}
    }
}
