import java.lang.reflect.Method;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Semaphore;
import java.util.concurrent.locks.LockSupport;
import java.util.concurrent.locks.ReentrantLock;
import java.util.concurrent.locks.ReentrantReadWriteLock;

/**
 * Threads of every kind, that stand still once READY is printed; those named "Spin ..." run.
 * "Stacks virtual" has virtual threads, too.
 */
public class Stacks {
    static final Object MONITOR = new Object();
    static final Object HELD = new Object();
    static final Object OTHER = new Object();
    static final Object LEFT = new Object(), RIGHT = new Object();
    static final ReentrantLock LOCK = new ReentrantLock();
    static final ReentrantReadWriteLock SHARED = new ReentrantReadWriteLock();
    static final ReentrantLock UP = new ReentrantLock(), DOWN = new ReentrantLock(true);
    static final Object PARK = new StringBuilder("a blocker");
    static volatile long sink;
    static volatile int depth;

    interface Body { void run() throws Exception; }

    static Thread start(String name, final Body body) {
        Thread t = new Thread(new Runnable() {
            public void run() {
                try { body.run(); } catch (Exception e) { throw new RuntimeException(e); }
            }
        }, name);
        t.setDaemon(true);
        t.start();
        return t;
    }

    static void await(Thread t, Thread.State... states) throws Exception {
        for (int i = 0; i < 20_000; i++) {
            for (Thread.State s : states) if (t.getState() == s) { Thread.sleep(2); return; }
            Thread.sleep(1);
        }
        throw new IllegalStateException(t.getName() + " is " + t.getState());
    }

    static class Slow {
        static int value;
        static { sleepForever(); value = 1; }
    }

    static void sleepForever() {
        try { Thread.sleep(1_000_000_000L); } catch (InterruptedException e) { throw new RuntimeException(e); }
    }

    static int recurse(int n, Object o) {
        if (n == 0) { synchronized (o) { LockSupport.park(o); } return 1; }
        return recurse(n - 1, o) + 1;
    }

    static synchronized void staticSynchronized() { sleepForever(); }

    synchronized void nested(int a, long b, double d, String s) {
        synchronized (OTHER) { synchronized (this) { sleepForever(); } }
    }

    // Hot, so that it is compiled, and inlined into one another; then it stops within.
    static long hot(int i, boolean stop, Object lock) { return middle(i, stop, lock) + 1; }
    static long middle(int i, boolean stop, Object lock) { return leaf(i, stop, lock) ^ 3; }
    static long leaf(int i, boolean stop, Object lock) {
        if (stop) { synchronized (lock) { park(lock); } }
        return i * 31L + sink;
    }
    static void park(Object o) { LockSupport.park(o); }

    static long spin(long until) {
        long x = 1;
        for (long i = 0; i < until; i++) x = x * 6364136223846793005L + inlined(i);
        return x;
    }
    static long inlined(long i) { return (i ^ (i >>> 7)) + 1442695040888963407L; }

    static void waitOn(Object o, long ms) throws InterruptedException {
        synchronized (o) { if (ms == 0) o.wait(); else o.wait(ms); }
    }

    public static void main(String[] args) throws Exception {
        // Classes that the threads need, before they are needed by threads that stop.
        for (int i = 0; i < 60_000; i++) sink = hot(i, false, MONITOR);
        await(start("Waiting", () -> waitOn(MONITOR, 0)), Thread.State.WAITING);
        await(start("Waiting timed", () -> waitOn(MONITOR, 1_000_000_000L)), Thread.State.TIMED_WAITING);
        await(start("Sleeping", () -> sleepForever()), Thread.State.TIMED_WAITING);
        await(start("Parked", () -> LockSupport.park()), Thread.State.WAITING);
        await(start("Parked on", () -> LockSupport.park(PARK)), Thread.State.WAITING);
        await(start("Parked timed", () -> LockSupport.parkNanos(PARK, Long.MAX_VALUE)), Thread.State.TIMED_WAITING);
        final CountDownLatch taken = new CountDownLatch(3);
        start("Holder", () -> {
            synchronized (HELD) { LOCK.lock(); SHARED.writeLock().lock(); taken.countDown(); sleepForever(); }
        });
        while (taken.getCount() == 3) Thread.sleep(1);
        await(start("Blocked", () -> { synchronized (HELD) { sink++; } }), Thread.State.BLOCKED);
        await(start("Lock wanted", () -> LOCK.lock()), Thread.State.WAITING);
        await(start("Read wanted", () -> SHARED.readLock().lock()), Thread.State.WAITING);
        await(start("Relocking", () -> {
            synchronized (RIGHT) { RIGHT.wait(1_000_000_000L); }
        }), Thread.State.TIMED_WAITING);
        await(start("Static synchronized", () -> staticSynchronized()), Thread.State.TIMED_WAITING);
        await(start("Nested", () -> new Stacks().nested(1, 2, 3, "four")), Thread.State.TIMED_WAITING);
        await(start("Deep", () -> recurse(600, new Object())), Thread.State.WAITING);
        await(start("Compiled", () -> { sink = hot(1, true, new Object()); }), Thread.State.WAITING);
        await(start("In class initialiser", () -> { sink = Slow.value; }), Thread.State.TIMED_WAITING);
        Thread second = start("Waits for class", () -> { sink = Slow.value; });
        Thread.sleep(100);
        start("Reading", () -> { sink = System.in.read(); });
        start("Reflected", () -> {
            Method m = Stacks.class.getDeclaredMethod("sleepForever");
            m.invoke(null);
        });
        deadlocks(taken);
        start("Spin compiled", () -> { while (true) sink = spin(1_000_000); });
        start("Spin copying", () -> {
            byte[] a = new byte[1 << 16], b = new byte[1 << 16];
            while (true) { System.arraycopy(a, 0, b, 1, 65_000); sink += b[7]; }
        });
        start("Spin maths", () -> {
            double d = 1;
            while (true) { d = Math.sin(d) + Math.pow(d, 0.3) + Math.log(d + 2); sink = (long) d; }
        });
        if (args.length > 0 && args[0].equals("virtual")) virtual();
        Thread.sleep(500);
        System.out.println("READY " + pid());
        System.out.flush();
        sleepForever();
    }

    static void deadlocks(CountDownLatch taken) throws Exception {
        final CountDownLatch both = new CountDownLatch(2), locks = new CountDownLatch(2);
        start("Deadlock left", () -> { synchronized (LEFT) { meet(both); synchronized (OTHERS[0]) { sink++; } } });
        start("Deadlock right", () -> { synchronized (OTHERS[0]) { meet(both); synchronized (LEFT) { sink++; } } });
        start("Deadlock up", () -> { UP.lock(); meet(locks); DOWN.lock(); });
        start("Deadlock down", () -> { DOWN.lock(); meet(locks); UP.lock(); });
        Thread.sleep(300);
    }
    static final Object[] OTHERS = {new int[3]};

    static void meet(CountDownLatch l) throws InterruptedException { l.countDown(); l.await(); }

    /** By reflection: the class runs on JDKs that have none. The last two keep their carriers: two may be all. */
    static void virtual() throws Exception {
        Method start = Thread.class.getMethod("startVirtualThread", Runnable.class);
        for (int i = 0; i < 5; i++) {
            await((Thread) start.invoke(null, (Runnable) () -> deepPark(8)), Thread.State.WAITING);
        }
        // It parks again in a second StackChunk: the first has no room for so many frames.
        Thread twice = (Thread) start.invoke(null, (Runnable) Stacks::parkTwice);
        await(twice, Thread.State.WAITING);
        LockSupport.unpark(twice);
        while (!again) Thread.sleep(1);
        await(twice, Thread.State.WAITING);
        await((Thread) start.invoke(null, (Runnable) () -> {
            Thread.currentThread().setName("pinned");
            synchronized (new Object()) { sink = Pins.value; }
        }), Thread.State.WAITING);
        final Semaphore ready = new Semaphore(0);
        start.invoke(null, (Runnable) () -> {
            Thread.currentThread().setName("mounted");
            ready.release();
            while (true) sink = spin(1_000_000);
        });
        ready.acquire();
    }
    static volatile boolean again;
    static void parkTwice() { Thread.currentThread().setName("two chunks"); parkTwice(8, new Object()); }
    static void parkTwice(int n, Object held) {
        if (n == 0 || n == 6) LockSupport.park(PARK);
        again |= n == 6;
        if (n > 0) parkTwice(n - 1, held);
    }
    static void deepPark(int n) { if (n > 0) deepPark(n - 1); else LockSupport.park(PARK); }
    /** The VM calls its initialiser: no continuation yields across that. */
    static class Pins {
        static int value;
        static { LockSupport.park(PARK); value = 1; }
    }

    static String pid() throws Exception {
        String name = java.lang.management.ManagementFactory.getRuntimeMXBean().getName();
        return name.substring(0, name.indexOf('@'));
    }
}
