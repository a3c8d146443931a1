import java.io.*;
import java.lang.reflect.Method;
import java.net.*;
import java.nio.ByteBuffer;
import java.nio.LongBuffer;
import java.nio.channels.*;
import java.nio.file.*;
import java.security.MessageDigest;
import java.util.*;
import java.util.concurrent.*;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.*;
import java.util.zip.*;

/**
 * Every kind of thread that could notice that its process was stopped, borrowed or copied: calls that block for
 * ever, calls with a time, and loops that check all they get.
 *
 * <p>Prints "READY pid". On a line "check" it answers "OK counters" or "BAD why". On "rebind" it closes a port that
 * it listens on, listens on it again at once, and answers "OK port" or "BAD why". "stop N" makes it exit with N; at
 * the end of its input it exits with 0. An anomaly that any thread ever saw is told by every later check.
 * Arguments: the ms that each loop rests between rounds (default 20; with 5 they keep two CPUs busy), and with a
 * second one a thread that makes and joins that many threads a round (default 2), with a third one a thread that
 * makes that many Told a round.
 * With a fourth one nothing of that but the Told, and one full collection after the other with that many small
 * objects. -Dsleepers=N: so many threads more that sleep.
 */
public class StopStress {
    interface Work {
        void run() throws Exception;
    }

    static final Queue<String> BAD = new ConcurrentLinkedQueue<>();
    static final Map<String, AtomicLong> ROUNDS = new LinkedHashMap<>();
    static final Map<Thread, Thread.State> BLOCKED = new LinkedHashMap<>();
    /** What must not be collected, since its cleaner would close it. */
    static final List<Object> KEEP = new ArrayList<>();

    /** As many as there are, in every whole core. */
    static class Marker {
        long number;
    }

    static final Marker[] MARKERS = new Marker[1234];

    /** An object that says what it must hold; a reader of a core can tell, too. */
    static class Told {
        final long number;
        final byte[] bytes;
        final Told before;

        Told(long number, Told before) {
            this.number = number;
            this.before = before;
            bytes = new byte[(int) (number % 977)];
            for (int i = 0; i < bytes.length; i++) bytes[i] = (byte) (number * 31 + i);
        }

        boolean holds() {
            boolean good = bytes.length == number % 977;
            for (int i = 0; i < bytes.length; i++) good &= bytes[i] == (byte) (number * 31 + i);
            return good;
        }
    }

    /** Small, so that many of them make a full collection long. */
    static class Link {
        final Link to;

        Link(Link to) {
            // No chain that only grows.
            this.to = to == null || to.to == null ? to : to.to.to == null ? to : null;
        }
    }

    /** The latest ones, each behind one that is made no more; whole before they come here. */
    static final Told[] TOLD = new Told[4096];

    static int rest = 20;
    static int made = 2;
    static int told = 0;
    static long toldSoFar;

    static void bad(String who, Object what) {
        if (BAD.size() < 20) BAD.add(who + ": " + what);
    }

    static void expect(boolean holds, String what) {
        if (!holds) throw new IllegalStateException(what);
    }

    static Thread thread(String name, Runnable body) {
        Thread t = new Thread(null, body, name, 512 << 10);
        t.setDaemon(true);
        t.start();
        return t;
    }

    /** A thread that does its work again and again. */
    static void loop(String name, Work work) {
        AtomicLong rounds = new AtomicLong();
        ROUNDS.put(name, rounds);
        thread(name, () -> {
            while (true) {
                try {
                    work.run();
                    rounds.incrementAndGet();
                    Thread.sleep(rest);
                } catch (Throwable t) {
                    bad(name, t);
                }
            }
        });
    }

    /** A thread whose call never comes back. */
    static void forever(String name, Work work) {
        BLOCKED.put(thread(name, () -> {
            try {
                work.run();
                bad(name, "the call came back");
            } catch (Throwable t) {
                bad(name, t);
            }
        }), null);
    }

    static void blocked() throws Exception {
        ServerSocket server = new ServerSocket(0, 5, InetAddress.getLoopbackAddress());
        forever("accept for ever", server::accept);
        // The backlog takes the connection; nobody ever answers.
        ServerSocket silent = new ServerSocket(0, 5, InetAddress.getLoopbackAddress());
        Socket socket = new Socket(silent.getInetAddress(), silent.getLocalPort());
        forever("socket read for ever", () -> socket.getInputStream().read());
        DatagramSocket udp = new DatagramSocket(0, InetAddress.getLoopbackAddress());
        forever("receive for ever", () -> udp.receive(new DatagramPacket(new byte[9], 9)));
        Selector selector = Selector.open();
        ServerSocketChannel channel = ServerSocketChannel.open().bind(null);
        channel.configureBlocking(false).register(selector, SelectionKey.OP_ACCEPT);
        forever("select for ever", selector::select);
        Pipe pipe = Pipe.open();
        forever("channel read for ever", () -> pipe.source().read(ByteBuffer.allocate(9)));
        // It ends with us: its standard input is a pipe of ours.
        Process cat = new ProcessBuilder("cat").start();
        forever("pipe read for ever", () -> cat.getInputStream().read());
        forever("waitFor for ever", cat::waitFor);
        KEEP.addAll(Arrays.asList(server, silent, socket, udp, selector, channel, pipe, cat));

        Object lock = new Object();
        CountDownLatch held = new CountDownLatch(2);
        ReentrantLock mutex = new ReentrantLock();
        Object monitor = new Object();
        forever("wait for ever", () -> {
            synchronized (lock) {
                lock.wait();
            }
        });
        forever("hold a monitor", () -> {
            synchronized (monitor) {
                held.countDown();
                new CountDownLatch(1).await();
            }
        });
        forever("hold a lock", () -> {
            mutex.lock();
            held.countDown();
            new CountDownLatch(1).await();
        });
        held.await();
        Object[] crossed = {new Object(), new Object()};
        CountDownLatch both = new CountDownLatch(2);
        for (int i = 0; i < 2; i++) {
            Object mine = crossed[i], other = crossed[1 - i];
            forever("deadlock " + i, () -> {
                synchronized (mine) {
                    both.countDown();
                    both.await();
                    synchronized (other) {
                        mine.notify();
                    }
                }
            });
        }
        forever("enter for ever", () -> {
            synchronized (monitor) {
                lock.notify();
            }
        });
        forever("lock for ever", mutex::lock);
        forever("park for ever", LockSupport::park);
        forever("park for long", () -> LockSupport.parkNanos(TimeUnit.DAYS.toNanos(9)));
        forever("sleep for long", () -> Thread.sleep(TimeUnit.DAYS.toMillis(9)));
        forever("take for ever", new LinkedBlockingQueue<Integer>()::take);
        forever("join for ever", BLOCKED.keySet().iterator().next()::join);
    }

    /** Runs `call`, which must take `ms` at least; a ms is left for rounding. */
    static void takes(long ms, Work call) throws Exception {
        long start = System.nanoTime();
        call.run();
        long took = System.nanoTime() - start;
        expect(took >= (ms - 1) * 1_000_000, "a call of " + ms + " ms took " + took + " ns");
    }

    static void timed() throws Exception {
        loop("sleep", () -> takes(7, () -> Thread.sleep(7)));
        Object lock = new Object();
        loop("wait", () -> takes(6, () -> {
            synchronized (lock) {
                lock.wait(6);
            }
        }));
        // Park may come back early by its contract: only its coming back counts.
        loop("park", () -> LockSupport.parkNanos(5_000_000));
        loop("poll", () -> takes(8, () -> expect(new SynchronousQueue<>().poll(8, TimeUnit.MILLISECONDS) == null, "an item")));
        Selector selector = Selector.open();
        loop("timed select", () -> takes(9, () -> expect(selector.select(9) == 0, "something to select")));
        DatagramSocket udp = new DatagramSocket(0, InetAddress.getLoopbackAddress());
        udp.setSoTimeout(8);
        loop("timed receive", () -> takes(8, () -> {
            try {
                udp.receive(new DatagramPacket(new byte[9], 9));
                expect(false, "a packet");
            } catch (SocketTimeoutException e) {
                // As it should be.
            }
        }));
        loop("handoff", new Work() {
            final SynchronousQueue<Integer> there = new SynchronousQueue<>(), back = new SynchronousQueue<>();
            int sent;
            {
                thread("handoff's other end", () -> {
                    while (true) {
                        try {
                            back.put(there.take() + 1);
                        } catch (InterruptedException e) {
                            bad("handoff's other end", e);
                        }
                    }
                });
            }

            public void run() throws Exception {
                there.put(++sent);
                expect(back.take() == sent + 1, "another number came back");
            }
        });
    }

    /** Many that sleep: for ever, or again and again for a time of their own. */
    static void sleepers(int count) {
        for (int i = 0; i < count; i++) {
            int ms = 5 << i % 7;
            if (i % 3 == 0) forever("sleeper " + i, () -> Thread.sleep(TimeUnit.DAYS.toMillis(9)));
            else loop("sleeper " + i, () -> takes(ms, () -> Thread.sleep(ms)));
        }
    }

    /** Bytes that depend on a number only. */
    static byte[] pattern(long seed, int length) {
        byte[] out = new byte[length];
        SplittableRandom random = new SplittableRandom(seed);
        ByteBuffer rest = ByteBuffer.wrap(out);
        while (rest.remaining() >= 8) rest.putLong(random.nextLong());
        while (rest.hasRemaining()) rest.put((byte) random.nextInt());
        return out;
    }

    static byte[] all(InputStream in) throws IOException {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        byte[] some = new byte[8192];
        for (int n; (n = in.read(some)) >= 0; ) out.write(some, 0, n);
        return out.toByteArray();
    }

    static int pid() throws IOException {
        return Integer.parseInt(new File("/proc/self").getCanonicalFile().getName());
    }

    static void network() throws Exception {
        ServerSocket server = new ServerSocket(0, 50, InetAddress.getLoopbackAddress());
        thread("echo server", () -> {
            while (true) {
                try (Socket s = server.accept()) {
                    s.getOutputStream().write(all(s.getInputStream()));
                } catch (Throwable t) {
                    bad("echo server", t);
                }
            }
        });
        AtomicLong n = new AtomicLong();
        loop("echo", () -> {
            byte[] sent = pattern(n.incrementAndGet(), 20_000);
            try (Socket s = new Socket(server.getInetAddress(), server.getLocalPort())) {
                s.getOutputStream().write(sent);
                s.shutdownOutput();
                expect(Arrays.equals(all(s.getInputStream()), sent), "other bytes came back");
            }
        });
        DatagramSocket a = new DatagramSocket(0, InetAddress.getLoopbackAddress());
        DatagramSocket b = new DatagramSocket(0, InetAddress.getLoopbackAddress());
        loop("datagrams", () -> {
            byte[] sent = pattern(n.incrementAndGet(), 900);
            a.send(new DatagramPacket(sent, sent.length, b.getLocalSocketAddress()));
            DatagramPacket got = new DatagramPacket(new byte[1000], 1000);
            b.receive(got);
            expect(Arrays.equals(Arrays.copyOf(got.getData(), got.getLength()), sent), "another packet came");
        });
        Pipe pipe = Pipe.open();
        Selector selector = Selector.open();
        pipe.source().configureBlocking(false).register(selector, SelectionKey.OP_READ);
        loop("select", () -> {
            byte[] sent = pattern(n.incrementAndGet(), 500);
            pipe.sink().write(ByteBuffer.wrap(sent));
            expect(selector.select() == 1, "nothing to select");
            selector.selectedKeys().clear();
            ByteBuffer got = ByteBuffer.allocateDirect(500);
            expect(pipe.source().read(got) == 500, "a short read");
            expect(got.flip().equals(ByteBuffer.wrap(sent)), "other bytes came out of the pipe");
        });
    }

    /** The exit code of a shell that says `said`. */
    static int shell(String script, String said) throws Exception {
        Process p = Runtime.getRuntime().exec(new String[] {"sh", "-c", script});
        String out = new String(all(p.getInputStream())).trim();
        int code = p.waitFor();
        expect(out.equals(said), "the shell said " + out + ", not " + said);
        return code;
    }

    static void processes() {
        for (int i = 0; i < 2; i++) {
            AtomicLong n = new AtomicLong(i * 1000);
            loop("exec " + i, () -> {
                long k = n.incrementAndGet();
                int code = shell("echo $((" + k + " * 3)); exit " + k % 100, "" + k * 3);
                expect(code == k % 100, "exit code " + code + " instead of " + k % 100);
                Thread.sleep(4L * rest);
            });
        }
    }

    static int depth(int n) {
        return depth(n + 1) + 1;
    }

    static void runtime() throws Exception {
        loop("threads", () -> {
            AtomicLong sum = new AtomicLong();
            List<Thread> threads = new ArrayList<>();
            for (int i = 1; i <= made; i++) {
                int k = i;
                threads.add(thread("short " + i, () -> sum.addAndGet(k)));
            }
            for (Thread t : threads) t.join();
            expect(sum.get() == made * (made + 1) / 2, "threads did not run: " + sum);
        });
        Map<Integer, byte[]> kept = new HashMap<>();
        SplittableRandom random = new SplittableRandom(7);
        loop("allocation", () -> {
            for (int i = 0; i < 40; i++) {
                int k = random.nextInt(1000);
                byte[] old = kept.put(k, pattern(k, 1000 + k));
                expect(old == null || Arrays.equals(old, pattern(k, 1000 + k)), "the heap holds other bytes");
            }
        });
        if (told > 0) loop("told", StopStress::tell);
        // The JVM learns of a null by a SIGSEGV, and of the end of a stack.
        loop("nulls", () -> {
            int caught = 0;
            for (int i = 0; i < 50; i++) {
                try {
                    int[] a = i % 2 == 0 ? null : new int[i];
                    expect(a.length == i, "another length");
                } catch (NullPointerException e) {
                    caught++;
                }
            }
            expect(caught == 25, "nulls: " + caught);
        });
        loop("deep stack", () -> {
            try {
                expect(depth(0) < 0, "no end of the stack");
            } catch (StackOverflowError e) {
                // As it should be.
            }
            Thread.sleep(10);
        });
        Method virtual;
        try {
            virtual = Thread.class.getMethod("startVirtualThread", Runnable.class);
        } catch (NoSuchMethodException e) {
            return; // before JDK 21
        }
        loop("virtual threads", () -> {
            CountDownLatch done = new CountDownLatch(10);
            Runnable task = () -> {
                LockSupport.parkNanos(1_000_000);
                done.countDown();
            };
            for (int i = 0; i < 10; i++) virtual.invoke(null, task);
            done.await();
        });
    }

    static void files() throws Exception {
        Path path = Files.createTempFile("stop-stress", ".bin");
        path.toFile().deleteOnExit();
        RandomAccessFile file = new RandomAccessFile(path.toFile(), "rw");
        AtomicLong n = new AtomicLong();
        loop("file", () -> {
            byte[] wrote = pattern(n.incrementAndGet(), 50_000), got = new byte[50_000];
            file.seek(n.get() % 64 * 50_000);
            file.write(wrote);
            file.seek(n.get() % 64 * 50_000);
            file.readFully(got);
            expect(Arrays.equals(wrote, got), "the file holds other bytes");
        });
        Path still = Files.createTempFile("stop-stress", ".bin");
        still.toFile().deleteOnExit();
        byte[] bytes = pattern(11, 1 << 20);
        Files.write(still, bytes);
        long crc = crc(ByteBuffer.wrap(bytes));
        FileChannel channel = FileChannel.open(still);
        ByteBuffer direct = ByteBuffer.allocateDirect(bytes.length);
        ByteBuffer mapped = channel.map(FileChannel.MapMode.READ_ONLY, 0, bytes.length);
        loop("direct buffers", () -> {
            direct.clear();
            while (direct.hasRemaining()) channel.read(direct, direct.position());
            expect(crc((ByteBuffer) direct.flip()) == crc, "the buffer holds other bytes");
            expect(crc(mapped.duplicate()) == crc, "the mapping holds other bytes");
        });
    }

    static long crc(ByteBuffer bytes) {
        CRC32 crc = new CRC32();
        crc.update(bytes);
        return crc.getValue();
    }

    // Sums whose loops run in compiled code, with all kinds of registers in use.

    static long integers() {
        long a = 1, b = 2, c = 3, d = 5, e = 7, f = 11;
        for (int i = 0; i < 400_000; i++) {
            a = a * 6364136223846793005L + b;
            b ^= c >>> 7 ^ d << 3;
            c += Long.rotateLeft(a, 13);
            d = d * 31 + e;
            e ^= f + i;
            f = Long.rotateRight(f, 5) + c;
        }
        return a ^ b ^ c ^ d ^ e ^ f;
    }

    static long doubles() {
        double a = 1, b = 0.5, c = 3, d = 0.1;
        for (int i = 1; i < 300_000; i++) {
            a = a * 0.999 + b / i;
            b = Math.sqrt(a * a + c);
            c = c * 0.5 + b * 0.25 + d;
            d = (d + a) / (1 + b);
        }
        return Double.doubleToRawLongBits(a + b + c + d);
    }

    static long vectors() {
        int n = 4096;
        int[] x = new int[n], y = new int[n];
        float[] p = new float[n], q = new float[n];
        double[] u = new double[n], v = new double[n];
        for (int i = 0; i < n; i++) {
            x[i] = i * 77;
            p[i] = i * 0.25f;
            u[i] = 1.0 / (i + 1);
        }
        for (int round = 0; round < 60; round++) {
            for (int i = 0; i < n; i++) y[i] = y[i] * 31 + x[i] ^ y[i] >>> 3;
            for (int i = 0; i < n; i++) q[i] = q[i] * 0.5f + p[i];
            for (int i = 0; i < n; i++) v[i] = v[i] * 0.75 + u[i] * u[i];
        }
        int sum = 0;
        for (int i = 0; i < n; i++) sum += y[i] * i;
        return sum + 31L * Arrays.hashCode(q) + 961L * Arrays.hashCode(v);
    }

    static long digests() {
        try {
            byte[] bytes = pattern(3, 200_000), packed = new byte[250_000];
            long sum = ByteBuffer.wrap(MessageDigest.getInstance("SHA-256").digest(bytes)).getLong();
            Deflater deflater = new Deflater(1);
            deflater.setInput(bytes);
            deflater.finish();
            int n = deflater.deflate(packed);
            deflater.end();
            Inflater inflater = new Inflater();
            inflater.setInput(packed, 0, n);
            byte[] back = new byte[bytes.length];
            expect(inflater.inflate(back) == bytes.length && Arrays.equals(back, bytes), "inflated to other bytes");
            inflater.end();
            return sum + n;
        } catch (java.security.GeneralSecurityException | DataFormatException e) {
            throw new IllegalStateException(e);
        }
    }

    static void sums(String name, java.util.function.LongSupplier sum) {
        long first = sum.getAsLong();
        loop(name, () -> {
            long now = sum.getAsLong();
            expect(now == first, "the sum is " + now + " and was " + first);
        });
    }

    static void tell() {
        for (int i = 0; i < told; i++) {
            long n = ++toldSoFar;
            int at = (int) (n * 7919 % TOLD.length);
            Told old = TOLD[at];
            expect(old == null || old.holds() && (old.before == null || old.before.holds()), "a told one holds other bytes");
            TOLD[at] = new Told(n, old == null ? null : new Told(old.number, null));
        }
    }

    static void collections(int linked) {
        Link[] links = new Link[linked];
        for (int i = 0; i < linked; i++) links[i] = new Link(links[i / 2]);
        SplittableRandom random = new SplittableRandom(11);
        for (int i = 0; i < 50; i++) tell();
        loop("full collections", () -> {
            for (int round = 0; round < 50; round++) {
                // Holes everywhere, so that all that lies behind the first one is moved.
                for (int i = 0; i < linked / 10; i++) {
                    links[random.nextInt(linked)] = new Link(links[random.nextInt(linked)]);
                }
                tell();
                System.gc();
            }
        });
    }

    static void arithmetic() {
        sums("integers", StopStress::integers);
        sums("doubles", StopStress::doubles);
        sums("vectors", StopStress::vectors);
        sums("digests", StopStress::digests);
        ByteBuffer direct = ByteBuffer.allocateDirect(1 << 20);
        LongBuffer longs = direct.asLongBuffer();
        for (int i = 0; i < longs.limit(); i++) longs.put(i, i * 0x9E3779B97F4A7C15L);
        sums("direct sums", () -> {
            long sum = 0;
            for (int i = 0; i < longs.limit(); i++) sum = sum * 3 + longs.get(i);
            return sum;
        });
    }

    /** Waits until all loops have come further and the blocked threads stand; then says what is wrong. */
    static String check(Map<String, Long> last) throws Exception {
        System.gc();
        expect(shell("echo said; exit 23", "said") == 23, "another exit code");
        long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(60);
        long sum = 0;
        for (Map.Entry<String, AtomicLong> e : ROUNDS.entrySet()) {
            long before = last.getOrDefault(e.getKey(), 0L);
            while (e.getValue().get() <= before && System.nanoTime() < deadline) Thread.sleep(1);
            long now = e.getValue().get();
            if (now <= before) return "BAD " + e.getKey() + " does not go on";
            last.put(e.getKey(), now);
            sum += now;
        }
        for (Map.Entry<Thread, Thread.State> e : BLOCKED.entrySet()) {
            Thread t = e.getKey();
            if (!t.isAlive() || t.isInterrupted() || t.getState() != e.getValue())
                bad(t.getName(), "is " + t.getState() + " and was " + e.getValue() + (t.isInterrupted() ? ", interrupted" : ""));
        }
        if (!BAD.isEmpty()) return "BAD " + String.join("; ", BAD).replace('\n', ' ');
        return "OK " + sum + " rounds of " + ROUNDS.size() + " loops, " + BLOCKED.size() + " blocked";
    }

    static ServerSocket port;

    /** Fails if anyone else still has the socket that this process closed. */
    /**
     * The port is below the range from which the kernel takes those that nobody asks for. A process that a
     * thread here starts holds a copy of the descriptor until its exec: hence the second try, and more.
     */
    static String rebind() throws Exception {
        int number = port == null ? 20_000 + pid() % 10_000 : port.getLocalPort();
        if (port != null) port.close();
        for (int tries = 0; ; tries++) {
            port = new ServerSocket();
            port.setReuseAddress(false);
            try {
                port.bind(new InetSocketAddress(InetAddress.getLoopbackAddress(), number));
                return "OK " + number;
            } catch (BindException e) {
                port.close();
                if (tries == 100) throw e;
                Thread.sleep(10);
            }
        }
    }

    public static void main(String[] args) throws Exception {
        if (args.length > 0) rest = Integer.parseInt(args[0]);
        if (args.length > 1) made = Integer.parseInt(args[1]);
        if (args.length > 2) told = Integer.parseInt(args[2]);
        for (int i = 0; i < MARKERS.length; i++) MARKERS[i] = new Marker();
        if (args.length > 3) {
            collections(Integer.parseInt(args[3]));
        } else {
            blocked();
            timed();
            sleepers(Integer.getInteger("sleepers", 0));
            network();
            processes();
            runtime();
            files();
            arithmetic();
        }
        Map<String, Long> last = new HashMap<>();
        // A thread is where it stays once it has been there for a while.
        Thread.sleep(300);
        BLOCKED.replaceAll((t, s) -> t.getState());
        String first = check(last);
        System.out.println(first.startsWith("OK") ? "READY " + pid() : first);
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
        for (String line; (line = in.readLine()) != null; ) {
            if (line.startsWith("stop ")) System.exit(Integer.parseInt(line.substring(5)));
            String said;
            try {
                said = line.equals("rebind") ? rebind() : check(last);
            } catch (Throwable t) {
                said = "BAD " + line + ": " + t;
            }
            System.out.println(said);
            System.out.flush();
        }
    }
}
