import java.io.File;
import java.io.FileWriter;
import java.io.IOException;
import java.io.InputStream;
import java.io.RandomAccessFile;
import java.lang.management.ManagementFactory;
import java.lang.management.MemoryPoolMXBean;
import java.lang.reflect.Field;
import java.nio.ByteBuffer;
import java.nio.MappedByteBuffer;
import java.nio.channels.FileChannel;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;

/** Lets one kind of memory grow, and writes to the file `truth` how many bytes by its own account: `Guilty KIND MB`. */
public class Guilty {
    static final List<Object> KEPT = new ArrayList<>();
    /** sun.misc.Unsafe: malloc, without a line of C. */
    static final Object UNSAFE = unsafe();

    public static void main(String[] args) throws Exception {
        int mb = Integer.parseInt(args[1]);
        long bytes = grow(args[0], (long) mb << 20);
        try (FileWriter truth = new FileWriter("truth")) {
            truth.write(Long.toString(bytes));
        }
        System.out.println("READY " + args[0]);
        System.in.read();
    }

    static long grow(String kind, long bytes) throws Exception {
        switch (kind) {
            case "direct":
                for (long n = 0; n < bytes; n += 1 << 20) {
                    ByteBuffer pool = ByteBuffer.allocateDirect(1 << 20);
                    KEPT.add(pool);
                    KEPT.add(pool.slice());
                }
                return bytes;
            case "held":
                return held(bytes);
            case "jni":
                // Each chunk of malloc's has 16 bytes more than was asked for, rounded up.
                System.load(new File("leak.so").getAbsolutePath());
                leak(bytes / 2016, 2000);
                return bytes;
            case "malloc":
                // With the head of each chunk.
                for (long n = 0; n < bytes; n += 2016) {
                    take(2000);
                }
                return bytes;
            case "chunks":
                for (long n = 0; n < bytes; n += 4 << 20) {
                    take(4 << 20);
                }
                return bytes;
            case "fragments":
                return fragments(bytes);
            case "mapped":
                return mapped(bytes);
            case "stacks":
                return stacks(bytes);
            case "loaders":
                return loaders((int) (bytes >> 20));
            case "code":
                return code((int) (bytes >> 20));
            case "heap":
                for (long n = 0; n < bytes; n += 1 << 20) {
                    KEPT.add(new byte[(1 << 20) - 16]);
                }
                // After its first three collections ZGC starts none by itself while nothing is allocated.
                for (int i = 0; i < 3; i++) {
                    System.gc();
                }
                return bytes;
            default:
                throw new IllegalArgumentException(kind);
        }
    }

    static native void leak(long pieces, long bytes);

    /** Buffers in chunks of a pool, as Netty's, and one in four that a thread has in a local variable alone. */
    static long held(long bytes) throws Exception {
        int chunks = (int) (bytes >> 20);
        CountDownLatch taken = new CountDownLatch(1);
        start(() -> {
            ByteBuffer[] own = new ByteBuffer[chunks / 4];
            for (int i = 0; i < own.length; i++) {
                own[i] = ByteBuffer.allocateDirect(1 << 20);
            }
            taken.countDown();
            park();
            KEPT.add(own);
        });
        for (int i = chunks / 4; i < chunks; i++) {
            Arena.SHARED.chunks.add(ByteBuffer.allocateDirect(1 << 20).duplicate());
        }
        taken.await();
        return bytes;
    }

    static class Arena {
        static final Arena SHARED = new Arena();
        final List<ByteBuffer> chunks = new ArrayList<>();
    }

    static long take(long bytes) {
        long at = (Long) call("allocateMemory", new Class<?>[] {long.class}, bytes);
        call("setMemory", new Class<?>[] {long.class, long.class, byte.class}, at, bytes, (byte) 1);
        return at;
    }

    /** Threads that take small pieces and free all but every 50th: what malloc keeps is free. */
    static long fragments(long bytes) throws Exception {
        int threads = 4, each = (int) (bytes / threads / 1024);
        CountDownLatch done = new CountDownLatch(threads);
        for (int t = 0; t < threads; t++) {
            start(() -> {
                long[] all = new long[each];
                for (int i = 0; i < each; i++) {
                    all[i] = take(1008);
                }
                for (int i = 0; i < each; i++) {
                    if (i % 50 != 0) {
                        call("freeMemory", new Class<?>[] {long.class}, all[i]);
                    }
                }
                done.countDown();
                park();
            });
        }
        done.await();
        return bytes / 50 * 49;
    }

    static long mapped(long bytes) throws IOException {
        File file = File.createTempFile("guilty", ".index", new File("."));
        try (RandomAccessFile f = new RandomAccessFile(file, "rw")) {
            f.setLength(bytes);
            MappedByteBuffer map = f.getChannel().map(FileChannel.MapMode.READ_WRITE, 0, bytes);
            for (int at = 0; at < bytes; at += 4096) {
                map.put(at, (byte) 1);
            }
            KEPT.add(map);
        }
        return bytes;
    }

    /** Threads that recurse to the ends of their stacks of 2 MB. */
    static long stacks(long bytes) throws Exception {
        int threads = (int) (bytes >> 20) / 2;
        CountDownLatch deep = new CountDownLatch(threads);
        for (int t = 0; t < threads; t++) {
            start(() -> {
                int[] depth = new int[1];
                try {
                    down(depth);
                } catch (StackOverflowError e) {
                    deep.countDown();
                    park();
                }
            });
        }
        deep.await();
        return bytes;
    }

    static int down(int[] depth) {
        depth[0]++;
        return down(depth) + 1;
    }

    /** Loaders that each define this class anew, and others that they need. */
    static long loaders(int count) throws Exception {
        byte[] code = code("Guilty.class");
        for (int i = 0; i < count; i++) {
            KEPT.add(new Own(code).loadClass("Guilty"));
        }
        // The VM counts at collections.
        System.gc();
        long bytes = 0;
        for (MemoryPoolMXBean pool : ManagementFactory.getMemoryPoolMXBeans()) {
            if (pool.getName().equals("Metaspace")) {
                bytes = pool.getUsage().getUsed();
            }
        }
        return bytes;
    }

    /** The same, and of each class a long method is called, which is to be compiled then (-Xcomp). */
    static long code(int count) throws Exception {
        byte[] code = code("Guilty.class");
        for (int i = 0; i < count; i++) {
            Class<?> own = new Own(code).loadClass("Guilty");
            java.lang.reflect.Method busy = own.getDeclaredMethod("busy", int.class);
            busy.setAccessible(true);
            busy.invoke(null, i);
            KEPT.add(own);
        }
        long bytes = 0;
        for (MemoryPoolMXBean pool : ManagementFactory.getMemoryPoolMXBeans()) {
            if (pool.getName().startsWith("Code")) {
                bytes += pool.getUsage().getUsed();
            }
        }
        return bytes;
    }

    static int step(int x) {
        return x * 31 + 1;
    }

    static int busy(int x) {
        x = step(step(step(step(step(step(step(step(x))))))));
        x = step(step(step(step(step(step(step(step(x))))))));
        x = step(step(step(step(step(step(step(step(x))))))));
        x = step(step(step(step(step(step(step(step(x))))))));
        x = step(step(step(step(step(step(step(step(x))))))));
        x = step(step(step(step(step(step(step(step(x))))))));
        return x;
    }

    static class Own extends ClassLoader {
        final byte[] code;

        Own(byte[] code) {
            super(null);
            this.code = code;
        }

        @Override
        protected Class<?> findClass(String name) {
            return defineClass(name, code, 0, code.length);
        }
    }

    static byte[] code(String file) throws IOException {
        try (InputStream in = Guilty.class.getResourceAsStream(file)) {
            byte[] all = new byte[1 << 16];
            int n = 0;
            for (int more; (more = in.read(all, n, all.length - n)) > 0; n += more) {}
            return java.util.Arrays.copyOf(all, n);
        }
    }

    static void start(Runnable work) {
        Thread thread = new Thread(null, work, "guilty", 2 << 20);
        thread.setDaemon(true);
        thread.start();
    }

    static void park() {
        try {
            Thread.sleep(600_000);
        } catch (InterruptedException e) {
            throw new IllegalStateException(e);
        }
    }

    static Object call(String name, Class<?>[] types, Object... arguments) {
        try {
            return UNSAFE.getClass().getMethod(name, types).invoke(UNSAFE, arguments);
        } catch (ReflectiveOperationException e) {
            throw new IllegalStateException(e);
        }
    }

    static Object unsafe() {
        try {
            Field field = Class.forName("sun.misc.Unsafe").getDeclaredField("theUnsafe");
            field.setAccessible(true);
            return field.get(null);
        } catch (ReflectiveOperationException e) {
            throw new IllegalStateException(e);
        }
    }
}
