import java.io.ByteArrayOutputStream;
import java.io.File;
import java.io.InputStream;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;
import java.lang.ref.PhantomReference;
import java.lang.ref.ReferenceQueue;
import java.lang.ref.SoftReference;
import java.lang.ref.WeakReference;
import java.lang.reflect.Array;
import java.lang.reflect.Field;
import java.lang.reflect.Proxy;
import java.math.BigDecimal;
import java.math.BigInteger;
import java.nio.ByteBuffer;
import java.util.*;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.locks.LockSupport;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Function;
import java.util.function.Supplier;

/**
 * One of everything that can lie in a heap. Sets all up, prints "READY pid" and then sits still without
 * allocating, so that a heap dump and a core taken one after the other see the same objects.
 *
 * <p>Compiled for JDK 8. What needs a later one is in Everything17, which runs with it on 17 and up.
 */
public class Everything {
    static final List<Object> KEEP = new ArrayList<>();

    /** Every primitive type, static and instance, with the values that are easily got wrong. */
    static class Primitives {
        static boolean sZ = true;
        static byte sB = Byte.MIN_VALUE;
        static char sC = '\uffff';
        static short sS = Short.MIN_VALUE;
        static int sI = Integer.MIN_VALUE;
        static long sJ = Long.MIN_VALUE;
        static float sF = Float.intBitsToFloat(0x7fc12345);
        static double sD = Double.longBitsToDouble(0xfff8_0000_dead_beefL);
        static Object sL = "static reference";
        static Object sNull = null;
        static final int CONSTANT = 0x12345678;
        boolean z0 = false, z1 = true;
        byte b0 = Byte.MAX_VALUE, b1 = -1;
        char c0 = 0, c1 = '\ud800';
        short s0 = Short.MAX_VALUE, s1 = -2;
        int i0 = Integer.MAX_VALUE, i1 = -3;
        long j0 = Long.MAX_VALUE, j1 = -4;
        float nanQuiet = Float.NaN, nanOdd = Float.intBitsToFloat(0x7fc12345), nanNegative = Float.intBitsToFloat(0xffc00001);
        float nanSignalling = Float.intBitsToFloat(0x7f800001), fZero = -0.0f, fMin = Float.MIN_VALUE, fMax = Float.MAX_VALUE;
        float fInf = Float.NEGATIVE_INFINITY;
        double dNan = Double.NaN, dNanOdd = Double.longBitsToDouble(0x7ff8_0000_1234_5678L);
        double dNanSignalling = Double.longBitsToDouble(0x7ff0_0000_0000_0001L);
        double dZero = -0.0, dMin = Double.MIN_VALUE, dMax = Double.MAX_VALUE, dInf = Double.POSITIVE_INFINITY;
    }

    /** Holes in the layout for subclasses' fields, and names used again below. */
    static class Base {
        private byte x = 1;
        Object shadow = "Base.shadow";
        static String same = "Base.same";
        private long y = 2;
    }

    static class Middle extends Base {
        private byte x = 3;
        private int z = 4;
        long shadow = 5;
        static int same = 6;
    }

    static class Bottom extends Middle {
        private short x = 7;
        Object[] shadow = {"Bottom.shadow", this};
        static double same = 8;
        private boolean last = true;
    }

    static class Empty {}

    static class EmptyBelow extends Bottom {}

    interface Face {
        String CONSTANT = new String("an interface's constant");

        default int answer() {
            return 42;
        }
    }

    static class NeverInitialised {
        static Object o = new Object();
        static int i = 3;
    }

    static class FailsToInitialise {
        static final Object BEFORE = new int[5];

        static {
            if (BEFORE != null) throw new IllegalStateException("on purpose");
        }
    }

    enum Colour {
        RED, GREEN {
            @Override
            String say() {
                return "green's own";
            }
        }, BLUE;

        String say() {
            return name();
        }
    }

    /** A class, fields and strings outside ASCII: 2-, 3- and 4-byte (two surrogates) characters. */
    static class Größe漢字 {
        int höhe = 1;
        String 名前 = "z\u0000ß漢\ud83d\ude00";
        static String μ = "μ";
    }

    /** Its finalizer never runs while it is held. */
    static class Finalizable {
        Object payload = new byte[3];

        @Override
        @Deprecated
        @SuppressWarnings("removal")
        protected void finalize() {
            payload = null;
        }
    }

    /** Defined once by each of several loaders, under one name. */
    public static class Twin implements Supplier<String> {
        static final Object OWN = new Object();
        int n = 1;

        public String get() {
            return "twin";
        }
    }

    /** Becomes a VM anonymous or a hidden class; the constant string gives it resolved references. */
    static class Hidden implements Supplier<String> {
        static int count = 5;
        String s = "hidden";

        public String get() {
            return "hidden constant";
        }
    }

    static class Loader extends ClassLoader {
        private final byte[] bytes;

        Loader(ClassLoader parent, byte[] bytes) {
            super(parent);
            this.bytes = bytes;
        }

        @Override
        protected Class<?> loadClass(String name, boolean resolve) throws ClassNotFoundException {
            synchronized (getClassLoadingLock(name)) {
                if (!name.equals("Everything$Twin")) return super.loadClass(name, resolve);
                Class<?> c = findLoadedClass(name);
                return c != null ? c : defineClass(name, bytes, 0, bytes.length);
            }
        }
    }

    static class Node {
        Node next;
        int n;
    }

    static byte[] bytesOf(Class<?> c) throws Exception {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        try (InputStream in = c.getResourceAsStream(c.getName() + ".class")) {
            for (int b; (b = in.read()) >= 0; ) out.write(b);
        }
        return out.toByteArray();
    }

    static void arrays() {
        Class<?>[] types = {boolean.class, byte.class, char.class, short.class, int.class, long.class, float.class,
            double.class, Object.class, String.class, Empty.class, int[].class, Colour.class, Runnable.class};
        for (Class<?> t : types) {
            for (int len : new int[] {0, 1, 7}) KEEP.add(Array.newInstance(t, len));
        }
        KEEP.add(new boolean[] {true, false, true});
        KEEP.add(new byte[] {Byte.MIN_VALUE, -1, 0, 1, Byte.MAX_VALUE});
        KEEP.add(new char[] {0, 'ß', '漢', 0xd800, 0xffff});
        KEEP.add(new short[] {Short.MIN_VALUE, -1, 0, Short.MAX_VALUE});
        KEEP.add(new int[] {Integer.MIN_VALUE, -1, 0, Integer.MAX_VALUE});
        KEEP.add(new long[] {Long.MIN_VALUE, -1, 0, Long.MAX_VALUE});
        KEEP.add(new float[] {-0.0f, Float.NaN, Float.intBitsToFloat(0x7fc54321), Float.intBitsToFloat(0xff800001), 1.5f});
        KEEP.add(new double[] {-0.0, Double.NaN, Double.longBitsToDouble(0xfff8_0000_0000_0007L),
            Double.longBitsToDouble(0x7ff0_0000_0000_0001L), Math.PI});
        KEEP.add(new int[3][4][5]);
        KEEP.add(new String[][] {{"a", null}, {}, null, {"b"}});
        KEEP.add(new double[2][][]);
        KEEP.add(new Object[][][] {{{"deep", new int[] {1}}}, null});
        Object[] self = new Object[2];
        self[0] = self;
        KEEP.add(self);
        // Several regions of G1 each; small enough together for -Xmx64m.
        byte[] humongous = new byte[3_000_001];
        for (int i = 0; i < humongous.length; i++) humongous[i] = (byte) (i * 31 >> 3);
        KEEP.add(humongous);
        Object[] many = new Object[600_000];
        for (int i = 0; i < many.length; i += 60_000) many[i] = "at " + i;
        KEEP.add(many);
        KEEP.add(new long[300_000]);
    }

    static void loaders() throws Exception {
        byte[] twin = bytesOf(Twin.class);
        ClassLoader app = Everything.class.getClassLoader();
        for (int i = 0; i < 3; i++) {
            Class<?> c = new Loader(app, twin).loadClass("Everything$Twin");
            Object o = c.getDeclaredConstructor().newInstance();
            KEEP.add(o);
            KEEP.add(Array.newInstance(c, 2, 3));
        }
        KEEP.add(new Twin());
        // Loaded, used, dropped: their klasses are freed by the GC at the end.
        for (int i = 0; i < 20; i++) {
            new Loader(app, twin).loadClass("Everything$Twin").getDeclaredConstructor().newInstance();
        }
    }

    /** Classes that no loader knows by name, with a host: of the VM until 16, hidden ones later. */
    static void anonymous() throws Exception {
        Class<?> unsafe = Class.forName("sun.misc.Unsafe");
        Field theUnsafe = unsafe.getDeclaredField("theUnsafe");
        theUnsafe.setAccessible(true);
        for (int i = 0; i < 3; i++) {
            Class<?> c = (Class<?>) unsafe.getMethod("defineAnonymousClass", Class.class, byte[].class, Object[].class)
                .invoke(theUnsafe.get(null), Everything.class, bytesOf(Hidden.class), null);
            java.lang.reflect.Constructor<?> make = c.getDeclaredConstructor();
            make.setAccessible(true);
            keepHidden(make.newInstance());
        }
    }

    static void keepHidden(Object o) {
        ((Supplier<?>) o).get();
        KEEP.add(o);
        KEEP.add(Array.newInstance(o.getClass(), 1));
    }

    static void handles(String[] args) throws Throwable {
        int n = args.length;
        Runnable bound = () -> KEEP.add(n);
        Function<String, Integer> ref = String::length;
        Supplier<List<String>> make = ArrayList::new;
        KEEP.addAll(Arrays.asList(bound, ref, make));
        ref.apply("x");
        for (int i = 0; i < 3; i++) KEEP.add("i=" + i + " n=" + n + " c=" + 'c' + " l=" + 7L + " o=" + KEEP.size());
        MethodHandles.Lookup l = MethodHandles.lookup();
        MethodHandle mh = l.findVirtual(String.class, "concat", MethodType.methodType(String.class, String.class));
        KEEP.add(mh);
        KEEP.add((String) mh.invokeExact("a", "b"));
        MethodHandle inserted = MethodHandles.insertArguments(mh, 1, "tail");
        KEEP.add(inserted);
        KEEP.add((String) inserted.invokeExact("head"));
        KEEP.add(Proxy.newProxyInstance(Everything.class.getClassLoader(),
            new Class<?>[] {Face.class, Comparable.class}, (p, m, a) -> m.getName().equals("hashCode") ? 1 : null));
        KEEP.add(Primitives.class.getDeclaredFields());
        KEEP.add(Everything.class.getDeclaredMethods());
        KEEP.add(new Exception("with a back trace"));
        try {
            Class.forName("Everything$FailsToInitialise");
        } catch (ExceptionInInitializerError e) {
            KEEP.add(e);
        }
        KEEP.add(Class.forName("Everything$NeverInitialised", false, Everything.class.getClassLoader()));
        KEEP.add(new NeverInitialised[0]);
    }

    static void references() {
        ReferenceQueue<Object> queue = new ReferenceQueue<>();
        Object held = new Empty();
        KEEP.add(held);
        KEEP.add(queue);
        KEEP.add(new WeakReference<>(held));
        KEEP.add(new WeakReference<>(held, queue));
        KEEP.add(new SoftReference<>(held, queue));
        KEEP.add(new PhantomReference<>(held, queue));
        KEEP.add(new WeakReference<>(new int[100], queue));
        KEEP.add(new SoftReference<>(new int[100]));
        KEEP.add(new Finalizable());
        Map<Object, Object> weak = new WeakHashMap<>();
        weak.put(held, "value");
        KEEP.add(weak);
        ThreadLocal<Object> local = ThreadLocal.withInitial(Empty::new);
        local.get();
        KEEP.add(local);
    }

    static void collections() {
        Map<String, Object> map = new HashMap<>();
        for (int i = 0; i < 2000; i++) map.put("key " + i, i);
        KEEP.add(map);
        KEEP.add(new TreeMap<>(map));
        KEEP.add(new ConcurrentHashMap<>(map));
        KEEP.add(new LinkedList<>(Arrays.asList(1, 2, 3)));
        KEEP.add(EnumSet.allOf(Colour.class));
        KEEP.add(new EnumMap<>(Collections.singletonMap(Colour.RED, 1)));
        KEEP.add(new BitSet(100));
        KEEP.add(BigInteger.valueOf(2).pow(200));
        KEEP.add(new BigDecimal("1234567890.123456789"));
        KEEP.add(Optional.of("x"));
        KEEP.add(ByteBuffer.allocateDirect(64));
        KEEP.add(new StringBuilder("latin1").append('漢'));
        Node head = null;
        for (int i = 0; i < 5000; i++) {
            Node n = new Node();
            n.next = head;
            n.n = i;
            head = n;
        }
        KEEP.add(head);
        KEEP.add("interned".intern());
        KEEP.add(new String("interned at run time " + KEEP.size()).intern());
        KEEP.add("latin1 \u00e9");
        KEEP.add("utf16 \u6f22 \ud83d\ude00 \udc00 alone");
        KEEP.add("");
        KEEP.add(new Object[] {'c', (byte) 1, (short) 2, 3, 4L, 5f, 6d, true});
    }

    static void threads() throws Exception {
        Object plain = new Object();
        Object contended = new Empty();
        Object hashed = new Empty();
        for (int i = 0; i < 50; i++) {
            Object o = new Empty();
            KEEP.add(o);
            System.identityHashCode(o);
        }
        System.identityHashCode(hashed);
        KEEP.addAll(Arrays.asList(plain, contended, hashed));
        CountDownLatch in = new CountDownLatch(1);
        Thread holder = daemon("holder", () -> {
            synchronized (plain) {
                synchronized (contended) {
                    synchronized (hashed) {
                        in.countDown();
                        while (true) LockSupport.park();
                    }
                }
            }
        });
        in.await();
        Thread blocked = daemon("blocked", () -> {
            synchronized (contended) {
                KEEP.add("never");
            }
        });
        Object waitedOn = new Object();
        KEEP.add(waitedOn);
        Thread waiter = daemon("waiter", () -> {
            synchronized (waitedOn) {
                while (true) {
                    try {
                        waitedOn.wait();
                    } catch (InterruptedException e) {
                        return;
                    }
                }
            }
        });
        ReentrantLock lock = new ReentrantLock();
        lock.lock();
        KEEP.add(lock);
        Thread queued = daemon("名前のある糸", lock::lock);
        await(blocked, Thread.State.BLOCKED);
        await(waiter, Thread.State.WAITING);
        await(queued, Thread.State.WAITING);
        await(holder, Thread.State.WAITING);
        KEEP.add(new Thread("never started"));
        Thread dead = daemon("dead", () -> {});
        dead.join();
        KEEP.add(dead);
    }

    static Thread daemon(String name, Runnable r) {
        Thread t = new Thread(r, name);
        t.setDaemon(true);
        t.start();
        KEEP.add(t);
        return t;
    }

    static void await(Thread t, Thread.State state) throws InterruptedException {
        while (t.getState() != state) Thread.sleep(1);
    }

    static int old(int rounds) {
        // Garbage between survivors, and objects of every age: holes and forwarded headers to walk over.
        int n = 0;
        for (int i = 0; i < rounds; i++) {
            byte[] b = new byte[100 + i % 900];
            if (i % 97 == 0 && KEEP.size() < 3000) KEEP.add(b);
            n += b.length;
        }
        return n;
    }

    public static void main(String[] args) throws Throwable {
        KEEP.add(new Primitives());
        KEEP.add(new Bottom());
        KEEP.add(new Middle());
        KEEP.add(new Empty());
        KEEP.add(new EmptyBelow());
        KEEP.add(new Face() {});
        KEEP.add(new Face() {}.answer() + Face.CONSTANT);
        for (Colour c : Colour.values()) KEEP.add(c.say());
        KEEP.add(new Größe漢字());
        KEEP.add(Größe漢字.μ);
        arrays();
        loaders();
        handles(args);
        // Unsafe.defineAnonymousClass went with 17.
        boolean later = Double.parseDouble(System.getProperty("java.specification.version")) >= 17;
        if (later) Class.forName("Everything17").getMethod("before", String[].class).invoke(null, (Object) args);
        else anonymous();
        references();
        collections();
        old(60_000);
        System.gc();
        threads();
        if (later) Class.forName("Everything17").getMethod("threads").invoke(null);
        old(20_000);
        System.gc();
        old(3_000);
        KEEP.add(new Bottom());
        System.out.println("READY " + new File("/proc/self").getCanonicalFile().getName());
        System.out.flush();
        // Cleaners and finalizers settle before anyone looks; blocked in read(2), main allocates nothing.
        while (System.in.read() >= 0) {}
    }
}
