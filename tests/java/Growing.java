import java.io.RandomAccessFile;
import java.lang.invoke.MethodHandles;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.channels.FileChannel.MapMode;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.locks.ReentrantLock;

/** Has as many of a kind as it is told, says READY and its process id, and waits for its input to end. */
public class Growing {
    static final List<Object> held = new ArrayList<>();

    public static class Small {
        public Small() {}
    }

    static void ready() {
        System.gc(); // what making them left behind is not counted
        System.out.println("READY " + ProcessHandle.current().pid());
        try {
            System.in.read();
        } catch (java.io.IOException e) {
            throw new RuntimeException(e);
        }
    }

    static int deep(int left) {
        if (left == 0) {
            ready();
            return 0;
        }
        return 1 + deep(left - 1);
    }

    static void threads(int n, Object[] locks, ReentrantLock[] owned) throws Exception {
        CountDownLatch started = new CountDownLatch(n);
        for (int i = 0; i < n; i++) {
            int number = i;
            Thread t = new Thread(null, () -> {
                synchronized (locks[number]) {
                    owned[number].lock();
                    started.countDown();
                    try {
                        Thread.sleep(Long.MAX_VALUE);
                    } catch (InterruptedException e) {
                        throw new RuntimeException(e);
                    }
                }
            }, "t" + i, 160 << 10);
            t.setDaemon(true);
            t.start();
        }
        started.await();
        // Each is waited for, so that the locks are inflated and have owners to look for.
        for (int i = 0; i < n; i++) {
            int number = i;
            Thread t = new Thread(null, () -> {
                if (number % 2 == 0) {
                    synchronized (locks[number]) {
                    }
                } else {
                    owned[number].lock();
                }
            }, "w" + i, 160 << 10);
            t.setDaemon(true);
            t.start();
            Thread.State waiting = number % 2 == 0 ? Thread.State.BLOCKED : Thread.State.WAITING;
            while (t.getState() != waiting) {
                Thread.sleep(1);
            }
        }
    }

    public static void main(String[] args) throws Exception {
        int n = Integer.parseInt(args[1]);
        Path own = Path.of(Growing.class.getProtectionDomain().getCodeSource().getLocation().toURI());
        switch (args[0]) {
            case "classes" -> {
                byte[] bytes = Files.readAllBytes(own.resolve("Growing$Small.class"));
                MethodHandles.Lookup lookup = MethodHandles.lookup();
                for (int i = 0; i < n; i++) {
                    Class<?> made = lookup.defineHiddenClass(bytes, true).lookupClass();
                    held.add(made.getDeclaredConstructor().newInstance());
                }
            }
            case "loaders" -> {
                for (int i = 0; i < n; i++) {
                    URLClassLoader loader = new URLClassLoader(new URL[] {own.toUri().toURL()}, null);
                    held.add(loader.loadClass("Growing$Small").getDeclaredConstructor().newInstance());
                }
            }
            case "threads" -> {
                Object[] locks = new Object[n];
                ReentrantLock[] owned = new ReentrantLock[n];
                for (int i = 0; i < n; i++) {
                    locks[i] = new Object();
                    owned[i] = new ReentrantLock();
                }
                threads(n, locks, owned);
            }
            case "frames" -> {
                Thread t = new Thread(null, () -> deep(n), "deep", 512L << 20);
                t.start();
                t.join();
                return;
            }
            case "monitors" -> {
                for (int i = 0; i < n; i++) {
                    Object o = new Object();
                    synchronized (o) {
                        o.wait(0, 1); // inflates
                    }
                    held.add(o);
                }
            }
            case "mappings" -> {
                try (RandomAccessFile file = new RandomAccessFile(own.resolve("sources").toFile(), "r")) {
                    for (int i = 0; i < n; i++) {
                        held.add(file.getChannel().map(MapMode.READ_ONLY, 0, 4096));
                    }
                }
            }
            case "strings" -> {
                for (int i = 0; i < n; i++) {
                    held.add(("interned " + i).intern());
                }
            }
            case "regions" -> {
                for (int i = 0; i < n; i++) {
                    held.add(new byte[600 << 10]); // humongous
                }
            }
            default -> throw new IllegalArgumentException(args[0]);
        }
        ready();
    }
}
