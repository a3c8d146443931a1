import java.io.InputStream;
import java.lang.management.ManagementFactory;
import java.lang.ref.PhantomReference;
import java.lang.ref.ReferenceQueue;
import java.lang.ref.SoftReference;
import java.lang.ref.WeakReference;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;

/**
 * What threads, class loaders and references keep, so that it is known how much: tests/jvms/kept.rs has the figures.
 *
 * All that only weaker references hold is made after the last collection.
 */
public class Kept {
    static class Held {
        byte[] bytes;

        Held(int length) {
            bytes = new byte[length];
        }
    }

    // Threads.

    static final CountDownLatch forEver = new CountDownLatch(1);

    static void waitFor() {
        try {
            forEver.await();
        } catch (InterruptedException e) {
            throw new IllegalStateException(e);
        }
    }

    static void start(String name, Runnable run) throws Exception {
        Thread thread = new Thread(run, name);
        thread.setDaemon(true);
        thread.start();
        while (thread.getState() != Thread.State.WAITING) Thread.sleep(1);
    }

    /** Holds 1,000,000 bytes, and what it calls holds 2,000,000. */
    static class Framed implements Runnable {
        public void run() {
            outer();
        }

        void outer() {
            Held own = new Held(1_000_000);
            inner(own);
            System.out.println(own.bytes.length);
        }

        void inner(Held given) {
            Held local = new Held(2_000_000);
            byte[] bare = new byte[3_000_000];
            waitFor();
            System.out.println(given.bytes.length + local.bytes.length + bare.length);
        }
    }

    /** Two locals of which each leads to the same object: it goes when the outer frame returns. */
    static class Joint implements Runnable {
        static class Side {
            Held common;
        }

        public void run() {
            Side first = new Side();
            second(first);
            System.out.println(first.common.bytes.length);
        }

        void second(Side first) {
            Side second = new Side();
            first.common = second.common = new Held(600_000);
            waitFor();
            System.out.println(second.common.bytes.length);
        }
    }

    /** Has in its frame what another thread has there, too. */
    static class Twin implements Runnable {
        final Held given;

        Twin(Held given) {
            this.given = given;
        }

        public void run() {
            Held local = given;
            waitFor();
            System.out.println(local.bytes.length);
        }
    }

    static void twins() throws Exception {
        Held shared = new Held(1_500_000);
        start("twin-1", new Twin(shared));
        start("twin-2", new Twin(shared));
    }

    static final Held everyones = new Held(400_000);
    static final ThreadLocal<Held> OWN = new ThreadLocal<>();
    static final ThreadLocal<Held> COMMON = new ThreadLocal<>();
    static final InheritableThreadLocal<Held> INHERITED = new InheritableThreadLocal<>();
    static ExecutorService pool;

    static void pool() throws Exception {
        pool = Executors.newFixedThreadPool(8);
        CountDownLatch all = new CountDownLatch(8);
        for (int i = 0; i < 8; i++) {
            pool.execute(
                    () -> {
                        OWN.set(new Held(200_000));
                        COMMON.set(everyones);
                        all.countDown();
                        try {
                            // So that each of the pool's threads gets one of them.
                            all.await();
                        } catch (InterruptedException e) {
                            throw new IllegalStateException(e);
                        }
                    });
        }
        all.await();
    }

    // Class loaders.

    /** Loaded by loaders of its own. */
    public static class Plugin {
        static byte[] ofClass = new byte[700_000];
        public Object[] others;
    }

    static class PluginLoader extends ClassLoader {
        byte[] ofLoader = new byte[300_000];

        PluginLoader() {
            super(Kept.class.getClassLoader());
        }

        Object plugin() throws Exception {
            String name = "Kept$Plugin";
            try (InputStream in = Kept.class.getResourceAsStream(name + ".class")) {
                byte[] code = new byte[100_000];
                int length = 0;
                for (int n; (n = in.read(code, length, code.length - length)) > 0; ) length += n;
                Class<?> made = defineClass(name, code, 0, length);
                return made.getDeclaredConstructor().newInstance();
            }
        }
    }

    static class WebLoader extends ClassLoader {
        WebLoader() {
            super(Kept.class.getClassLoader());
        }
    }

    /** A registry that keeps an object of a loader's class. */
    static final List<Object> leaked = new ArrayList<>();
    static WeakReference<Object> loose;

    static void leak() throws Exception {
        Object plugin = new PluginLoader().plugin();
        Class<?> made = plugin.getClass();
        Object[] others = new Object[5];
        for (int i = 0; i < others.length; i++) others[i] = made.getDeclaredConstructor().newInstance();
        made.getField("others").set(plugin, others);
        leaked.add(plugin);
    }

    static void web() throws Exception {
        Thread thread = new Thread(Kept::waitFor, "web");
        thread.setContextClassLoader(new WebLoader());
        thread.setDaemon(true);
        thread.start();
        while (thread.getState() != Thread.State.WAITING) Thread.sleep(1);
    }

    // References.

    static class Weak extends WeakReference<Object> {
        Weak(Object referent, ReferenceQueue<Object> queue) {
            super(referent, queue);
        }
    }

    static class Soft extends SoftReference<Object> {
        Soft(Object referent) {
            super(referent);
        }
    }

    static class Phantom extends PhantomReference<Object> {
        Phantom(Object referent, ReferenceQueue<Object> queue) {
            super(referent, queue);
        }
    }

    static class WeaklyHeld extends Held {
        WeaklyHeld() {
            super(1_000);
        }
    }

    static class SoftlyHeld extends Held {
        SoftlyHeld() {
            super(2_000);
        }
    }

    static class PhantomHeld extends Held {
        PhantomHeld() {
            super(3_000);
        }
    }

    static final ReferenceQueue<Object> QUEUE = new ReferenceQueue<>();
    static final ReferenceQueue<Object> UNUSED = new ReferenceQueue<>();
    static final List<Object> references = new ArrayList<>();
    static final List<Object> strong = new ArrayList<>();

    static void references() {
        for (int i = 0; i < 40; i++) {
            Weak cleared = new Weak(new Object(), UNUSED);
            cleared.clear();
            references.add(cleared);
        }
        for (int i = 0; i < 30; i++) {
            Object held = new Object();
            strong.add(held);
            references.add(new Weak(held, UNUSED));
            references.add(new Weak(new WeaklyHeld(), UNUSED));
        }
        for (int i = 0; i < 20; i++) {
            Object softly = new SoftlyHeld();
            references.add(new Soft(softly));
            if (i < 5) references.add(new Weak(softly, UNUSED));
        }
        for (int i = 0; i < 10; i++) references.add(new Phantom(new PhantomHeld(), UNUSED));
        for (int i = 0; i < 7; i++) {
            Object held = new Object();
            strong.add(held);
            Weak queued = new Weak(held, QUEUE);
            queued.enqueue();
            references.add(queued);
        }
    }

    // Finalizers.

    static final CountDownLatch blocked = new CountDownLatch(1);

    static class Blocks {
        @Override
        protected void finalize() {
            blocked.countDown();
            waitFor();
        }
    }

    static class Backlog extends Held {
        Backlog() {
            super(50_000);
        }

        @Override
        protected void finalize() {
            bytes = null;
        }
    }

    static class Registered extends Held {
        Registered() {
            super(60_000);
        }

        @Override
        protected void finalize() {
            bytes = null;
        }
    }

    static final List<Object> registered = new ArrayList<>();

    static void blocks() {
        new Blocks();
    }

    static void backlog() {
        for (int i = 0; i < 12; i++) new Backlog();
    }

    static void finalizers() throws Exception {
        for (int i = 0; i < 5; i++) registered.add(new Registered());
        blocks();
        System.gc();
        blocked.await();
        backlog();
        System.gc();
        while (ManagementFactory.getMemoryMXBean().getObjectPendingFinalizationCount() < 12) {
            Thread.sleep(1);
        }
    }

    // Memory outside of the heap.

    static final List<ByteBuffer> buffers = new ArrayList<>();

    static void buffers() {
        for (int i = 0; i < 4; i++) buffers.add(ByteBuffer.allocateDirect(65_536));
        buffers.add(buffers.get(0).duplicate());
        for (int i = 0; i < 2; i++) ByteBuffer.allocateDirect(32_768);
    }

    static void hold(Held local) throws Exception {
        String name = ManagementFactory.getRuntimeMXBean().getName();
        System.out.println("READY " + name.substring(0, name.indexOf('@')));
        System.in.read();
        System.out.println(local.bytes.length);
    }

    public static void main(String[] args) throws Exception {
        start("framed", new Framed());
        start("joint", new Joint());
        twins();
        pool();
        leak();
        web();
        INHERITED.set(new Held(250_000));
        ManagementFactory.getRuntimeMXBean().getName();
        finalizers();
        references();
        buffers();
        loose = new WeakReference<>(new PluginLoader().plugin());
        hold(new Held(3_100_000));
    }
}
