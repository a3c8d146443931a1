import java.io.InputStream;
import java.nio.ByteBuffer;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;

/** Programs that leak, each in one of the ways that programs do, and some that do not: tests/jvms/leaks.rs. */
public class Leaks {
    static void ready() throws Exception {
        System.out.println("READY " + ProcessHandle.current().pid());
        System.in.read();
    }

    // A map that only grows.
    static class Registry {
        static final Map<Integer, byte[]> ENTRIES = new HashMap<>();
    }

    static void staticMap() {
        for (int i = 0; i < 24_000; i++) Registry.ENTRIES.put(i, new byte[1_000]);
    }

    // Listeners that nobody takes off the list.
    static class Bus {
        static final Bus BUS = new Bus();
        final List<Listener> listeners = new ArrayList<>();
    }

    static class Listener {
        final String name;
        final byte[] state = new byte[8_000];

        Listener(int i) {
            name = "listener " + i;
        }
    }

    static void listeners() {
        for (int i = 0; i < 3_000; i++) Bus.BUS.listeners.add(new Listener(i));
    }

    // What the threads of a pool keep for themselves.
    static class PerThread {
        static final ThreadLocal<List<byte[]>> CONTEXT = ThreadLocal.withInitial(ArrayList::new);
    }

    static void threadLocal() throws Exception {
        int threads = 8;
        ExecutorService pool = Executors.newFixedThreadPool(threads);
        CountDownLatch all = new CountDownLatch(threads);
        for (int i = 0; i < threads; i++) {
            pool.submit(
                    () -> {
                        for (int n = 0; n < 1_500; n++) PerThread.CONTEXT.get().add(new byte[2_000]);
                        all.countDown();
                        all.await();
                        return null;
                    });
        }
        all.await();
    }

    // Applications that were deployed again, and the old ones stay.
    public static class Plugin implements Runnable {
        static final byte[] DATA = new byte[3_000_000];

        @Override
        public void run() {}
    }

    static class PluginLoader extends ClassLoader {
        PluginLoader() {
            super(Leaks.class.getClassLoader());
        }

        Runnable plugin() throws Exception {
            try (InputStream in = Leaks.class.getResourceAsStream("Leaks$Plugin.class")) {
                byte[] code = in.readAllBytes();
                Class<?> type = defineClass("Leaks$Plugin", code, 0, code.length);
                return (Runnable) type.getConstructor().newInstance();
            }
        }
    }

    static class Hooks {
        static final List<Runnable> AT_END = new ArrayList<>();
    }

    static void classLoader() throws Exception {
        for (int i = 0; i < 8; i++) {
            Runnable plugin = new PluginLoader().plugin();
            plugin.run();
            Hooks.AT_END.add(plugin);
        }
    }

    // A queue that is filled faster than it is emptied.
    static class Jobs {
        static final ExecutorService WORKER = Executors.newFixedThreadPool(1);
    }

    static class Job implements Runnable {
        final byte[] body = new byte[1_000];

        @Override
        public void run() {
            try {
                Thread.sleep(1_000_000_000L);
            } catch (InterruptedException e) {
                System.out.println(body.length);
            }
        }
    }

    static void queue() {
        for (int i = 0; i < 24_000; i++) Jobs.WORKER.execute(new Job());
    }

    // A cache without a limit, which only a local variable leads to.
    static class Price {
        final double[] days = new double[120];
    }

    static class Prices {
        final Map<String, Price> cache = new ConcurrentHashMap<>();
    }

    static void serve(Prices prices) throws Exception {
        for (int i = 0; i < 24_000; i++) prices.cache.put("share " + i, new Price());
        ready();
        System.out.println(prices.cache.size());
    }

    // Statements that are not closed: each connection of the pool knows its own.
    static class Connection {
        final List<Statement> open = new ArrayList<>();
    }

    static class Statement {
        final String sql;
        final byte[] rows = new byte[2_000];

        Statement(String sql) {
            this.sql = sql;
        }
    }

    static class ConnectionPool {
        static final ArrayDeque<Connection> IDLE = new ArrayDeque<>();
    }

    static void statements() {
        for (int i = 0; i < 5; i++) {
            Connection connection = new Connection();
            for (int n = 0; n < 2_400; n++) connection.open.add(new Statement("select " + n));
            ConnectionPool.IDLE.add(connection);
        }
    }

    // Interned strings. The JVM's table of them keeps none; a set does.
    static class Names {
        static final Set<String> KNOWN = new HashSet<>();
    }

    static void interned(boolean keep) {
        String filling = "x".repeat(150);
        for (int i = 0; i < 120_000; i++) {
            String name = (filling + i).intern();
            if (keep) Names.KNOWN.add(name);
        }
    }

    // More objects with finalizers than the one thread comes to finalize.
    static class Slow {
        final byte[] bytes = new byte[6_000];

        @Override
        protected void finalize() throws Exception {
            Thread.sleep(1_000_000_000L);
        }
    }

    static void finalizers() throws Exception {
        for (int i = 0; i < 4_000; i++) new Slow();
        System.gc();
    }

    // An inner class keeps its outer object.
    static class Screen {
        final int[] pixels = new int[240_000];

        Runnable onResize() {
            return new Runnable() {
                @Override
                public void run() {
                    System.out.println(pixels.length);
                }
            };
        }
    }

    static class Window {
        static final List<Runnable> CALLBACKS = new ArrayList<>();
    }

    static void inner() {
        for (int i = 0; i < 26; i++) Window.CALLBACKS.add(new Screen().onResize());
    }

    // Memory outside of the heap.
    static class Buffers {
        static final List<ByteBuffer> USED = new ArrayList<>();
    }

    static void direct() {
        for (int i = 0; i < 30; i++) Buffers.USED.add(ByteBuffer.allocateDirect(1 << 20));
    }

    // Sessions that never end.
    static class Session {
        final Map<String, Object> attributes = new HashMap<>();
    }

    static class Sessions {
        static final Map<String, Session> OPEN = new ConcurrentHashMap<>();
    }

    static void sessions() {
        for (int i = 0; i < 3_000; i++) {
            Session session = new Session();
            session.attributes.put("user", "user " + i);
            session.attributes.put("cart", new byte[8_000]);
            Sessions.OPEN.put("session " + i, session);
        }
    }

    // What is softly held goes before memory runs out.
    static class Images {
        static final Map<Integer, java.lang.ref.SoftReference<byte[]>> CACHE = new TreeMap<>();
    }

    static void softCache() {
        for (int i = 0; i < 3_000; i++) {
            Images.CACHE.put(i, new java.lang.ref.SoftReference<>(new byte[8_000]));
        }
    }

    // A list of the program's own, far longer than a stack is deep.
    static class Link {
        final Link next;
        final long value;

        Link(Link next, long value) {
            this.next = next;
            this.value = value;
        }
    }

    static class Chain {
        static Link first;
    }

    static void chain() {
        for (int i = 0; i < 800_000; i++) Chain.first = new Link(Chain.first, i);
    }

    // A server that holds much, none of it out of proportion: fourteen parts of different kinds.
    static class Cache0 {
        final Map<Integer, byte[]> of = new HashMap<>();
    }

    static class Cache1 {
        final Map<Integer, long[]> of = new TreeMap<>();
    }

    static class Cache2 {
        final Map<String, String> of = new ConcurrentHashMap<>();
    }

    static class Cache3 {
        final List<double[]> of = new ArrayList<>();
    }

    static class Cache4 {
        final ArrayDeque<char[]> of = new ArrayDeque<>();
    }

    static class Cache5 {
        final LinkedHashMap<String, Price> of = new LinkedHashMap<>();
    }

    static class Cache6 {
        final Set<String> of = new HashSet<>();
    }

    static class Cache7 {
        final byte[] of = new byte[1_500_000];
    }

    static class Cache8 {
        final long[] of = new long[190_000];
    }

    static class Cache9 {
        final Listener[] of = new Listener[180];
    }

    static class Server {
        final Cache0 cache0 = new Cache0();
        final Cache1 cache1 = new Cache1();
        final Cache2 cache2 = new Cache2();
        final Cache3 cache3 = new Cache3();
        final Cache4 cache4 = new Cache4();
        final Cache5 cache5 = new Cache5();
        final Cache6 cache6 = new Cache6();
        final Cache7 cache7 = new Cache7();
        final Cache8 cache8 = new Cache8();
        final Cache9 cache9 = new Cache9();
        final Map<String, Object> more = new HashMap<>();
    }

    static void spread() throws Exception {
        Server server = new Server();
        for (int i = 0; i < 1_500; i++) {
            server.cache0.of.put(i, new byte[1_000]);
            server.cache1.of.put(i, new long[120]);
            server.cache2.of.put("key " + i, "v".repeat(900) + i);
            server.cache3.of.add(new double[120]);
            server.cache4.of.add(new char[480]);
            server.cache5.of.put("key " + i, new Price());
            server.cache6.of.add("v".repeat(950) + i);
        }
        for (int i = 0; i < server.cache9.of.length; i++) server.cache9.of[i] = new Listener(i);
        server.more.put("a", new Cache7());
        server.more.put("b", new Cache8());
        server.more.put("c", new int[380_000]);
        server.more.put("d", new Object[] {new char[700_000]});
        ready();
        System.out.println(server.more.size());
    }

    static void garbage() {
        for (int i = 0; i < 60_000; i++) new Listener(i);
    }

    public static void main(String[] args) throws Exception {
        switch (args[0]) {
            case "static-map" -> staticMap();
            case "listeners" -> listeners();
            case "thread-local" -> threadLocal();
            case "class-loader" -> classLoader();
            case "queue" -> queue();
            case "cache" -> serve(new Prices());
            case "statements" -> statements();
            case "interned" -> interned(true);
            case "interned-only" -> interned(false);
            case "finalizers" -> finalizers();
            case "inner" -> inner();
            case "direct" -> direct();
            case "sessions" -> sessions();
            case "soft-cache" -> softCache();
            case "chain" -> chain();
            case "idle" -> {}
            case "spread" -> spread();
            case "garbage" -> garbage();
            default -> throw new IllegalArgumentException(args[0]);
        }
        ready();
    }
}
