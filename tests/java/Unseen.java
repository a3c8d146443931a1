import java.util.concurrent.locks.LockSupport;

/**
 * Objects that only the VM itself has, in none of the places that Roots makes: constants of compiled code, and what a
 * debugger left in its structures. The native half, an agent, is tests/c/unseen.c. The objects are int[]s, told by
 * their lengths.
 *
 * Unseen [virtual]
 *
 * To be run with -Xbatch -XX:TieredStopAtLevel=1, which compile at once.
 */
public class Unseen {
    static final int[] ON_STACK = new int[9201];
    static final int[] NOWHERE = new int[9202];
    static final int[] ON_HEAP = new int[9207];
    static volatile boolean spinning;
    static volatile boolean stay = true;
    static int spins;

    static native int blocked();
    static native void block();
    static native void forget();
    static native void tag(int length);
    static native void stop(Thread thread, Throwable thrown);
    static native void deferred(Thread thread, int length);
    static native void returned(Thread thread, int length);

    /** Compiled, with a constant that its class forgets. */
    static int[] onStack(boolean last) {
        if (last) block();
        return ON_STACK;
    }

    /** The same, in no frame. */
    static int[] nowhere() {
        return NOWHERE;
    }

    /** The same, in a frame of a virtual thread without a carrier. */
    static int[] onHeap(boolean last) {
        while (last) LockSupport.park();
        return ON_HEAP;
    }

    /** Compiled, with a local that a debugger sets. */
    static Object local(boolean last, Object value) {
        if (last) block();
        return value;
    }

    /** Where a debugger makes it return at once. */
    static Object spin() {
        spinning = true;
        while (stay) spins++;
        return null;
    }

    /** An exception with an array of its own. */
    static class Thrown extends Error {
        final int[] held;

        Thrown(int length) {
            super(null, null, false, false);
            held = new int[length];
        }
    }

    static Thread start(String name, Runnable body) {
        Thread t = new Thread(null, body, name);
        t.setDaemon(true);
        t.start();
        return t;
    }

    static void compile() {
        for (int i = 0; i < 20_000; i++) {
            if (onStack(false) == null | nowhere() == null | onHeap(false) == null | local(false, "") == null) throw new AssertionError();
        }
    }

    static void leave(boolean hasVirtual) throws Exception {
        start("on stack", () -> onStack(true));
        Thread local = start("local", () -> local(true, null));
        Thread stopped = start("stopped", () -> block());
        Thread returning = start("returning", () -> spin());
        while (blocked() < 3 || !spinning) Thread.sleep(1);
        if (hasVirtual) {
            Runnable parks = () -> onHeap(true);
            Object thread = Thread.class.getMethod("startVirtualThread", Runnable.class).invoke(null, parks);
            while (((Thread) thread).getState() != Thread.State.WAITING) Thread.sleep(1);
        }
        forget();
        tag(9203);
        stop(stopped, new Thrown(9204));
        deferred(local, 9205);
        returned(returning, 9206);
    }

    public static void main(String[] args) throws Exception {
        compile();
        Thread t = start("left", () -> {
            try {
                leave(args.length > 0);
            } catch (Exception e) {
                throw new AssertionError(e);
            }
        });
        t.join();
        System.out.println("READY now");
        System.out.flush();
        while (System.in.read() >= 0) {}
    }
}
