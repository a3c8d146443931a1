import java.io.InputStream;
import java.lang.ref.PhantomReference;
import java.lang.ref.ReferenceQueue;
import java.lang.ref.SoftReference;
import java.lang.ref.WeakReference;
import java.util.concurrent.CountDownLatch;

/** Objects of which it is known what a collection would free if they went: tests/jvms/retained.rs has the table. */
public class Holders {
    static class Payload {
        byte[] bytes;

        Payload(int length) {
            bytes = new byte[length];
        }
    }

    static class Plain extends Payload {
        Plain() {
            super(1_000_000);
        }
    }

    static class WeakToo extends Payload {
        WeakToo() {
            super(2_000_000);
        }
    }

    static class GarbageToo extends Payload {
        GarbageToo() {
            super(3_000_000);
        }
    }

    static class Dead {
        Object refers;

        Dead(Object refers) {
            this.refers = refers;
        }
    }

    static class Finalizable {
        byte[] bytes = new byte[4_000_000];

        @Override
        protected void finalize() {
            bytes = null;
        }
    }

    static class Owner {
        Finalizable owned = new Finalizable();
    }

    static class WeakCache {
        WeakReference<byte[]> cached = new WeakReference<>(new byte[5_000_000]);
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

    static class SoftAndWeak {
        SoftReference<Object> soft;
        WeakReference<Object> weak;
    }

    static class SharedA {
        Payload shared;
    }

    static class SharedB {
        Payload shared;
    }

    static class Ring {
        Ring next;
        byte[] bytes;
    }

    static class Twice {
        Object[] same;
    }

    static class Outer {
        class Inner {
            byte[] bytes = new byte[2_300_000];
        }

        Inner inner = new Inner();
        byte[] own = new byte[10_000];
    }

    static class OfThread extends Payload {
        OfThread() {
            super(2_100_000);
        }
    }

    static class Local extends Payload {
        Local(int length) {
            super(length);
        }
    }

    static class Statics {
        static byte[] big = new byte[1_900_000];
    }

    /** Loaded by a loader of its own, which only it leads to. */
    public static class Plugin {
        static byte[] of_class = new byte[1_600_000];
    }

    static class PluginLoader extends ClassLoader {
        byte[] of_loader = new byte[1_700_000];

        PluginLoader() {
            super(Holders.class.getClassLoader());
        }

        Class<?> define(String name) throws Exception {
            try (InputStream in = Holders.class.getResourceAsStream(name + ".class")) {
                byte[] code = new byte[100_000];
                int length = 0;
                for (int n; (n = in.read(code, length, code.length - length)) > 0; ) length += n;
                return defineClass(name, code, 0, length);
            }
        }
    }

    static Plain plain = new Plain();
    static WeakToo weakToo = new WeakToo();
    static WeakReference<Object> elsewhere = new WeakReference<>(weakToo.bytes);
    static GarbageToo garbageToo = new GarbageToo();
    static Owner owner = new Owner();
    static WeakCache weakCache;
    static Soft soft;
    static Phantom phantom;
    static ReferenceQueue<Object> queue = new ReferenceQueue<>();
    static SoftAndWeak softAndWeak = new SoftAndWeak();
    static SharedA sharedA = new SharedA();
    static SharedB sharedB = new SharedB();
    static Ring ring = new Ring();
    static Twice twice = new Twice();
    static Outer outer = new Outer();
    static ThreadLocal<OfThread> ofThread = new ThreadLocal<>();
    static Object plugin;

    static void hold(Local local) throws Exception {
        System.out.println("READY " + ProcessHandle.current().pid());
        System.in.read();
        System.out.println(local.bytes.length);
    }

    public static void main(String[] args) throws Exception {
        Statics.big[0] = 1;
        sharedA.shared = sharedB.shared = new Payload(1_300_000);
        ring.bytes = new byte[1_400_000];
        ring.next = new Ring();
        ring.next.bytes = new byte[1_410_000];
        ring.next.next = ring;
        Object same = new byte[1_500_000];
        twice.same = new Object[] {same, same, same};
        same = null;
        ofThread.set(new OfThread());
        plugin = new PluginLoader().define("Holders$Plugin").getConstructor().newInstance();
        CountDownLatch held = new CountDownLatch(1);
        Thread holder =
                new Thread(
                        () -> {
                            Local local = new Local(2_500_000);
                            held.countDown();
                            try {
                                Thread.sleep(1_000_000_000L);
                            } catch (InterruptedException e) {
                                System.out.println(local.bytes.length);
                            }
                        },
                        "holder");
        holder.setDaemon(true);
        holder.start();
        held.await();
        while (holder.getState() != Thread.State.TIMED_WAITING) Thread.sleep(1);
        System.gc();
        new Dead(garbageToo.bytes);
        soft = new Soft(new Payload(1_100_000));
        phantom = new Phantom(new Payload(1_150_000), queue);
        softAndWeak.soft = new SoftReference<>(new Payload(1_200_000));
        softAndWeak.weak = new WeakReference<>(softAndWeak.soft.get());
        weakCache = new WeakCache();
        hold(new Local(3_100_000));
    }
}
