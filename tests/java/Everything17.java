import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.lang.ref.Cleaner;
import java.lang.reflect.Array;
import java.util.List;
import java.util.concurrent.locks.LockSupport;

/** The part of Everything that JDK 8 has not. */
public class Everything17 {
    record Point(int x, long y, String name, double[] rest) {}

    record Nothing() {}

    static class Named extends ClassLoader {
        Named(String name) {
            super(name, Everything.class.getClassLoader());
        }

        Class<?> twin() throws Exception {
            byte[] bytes = Everything.bytesOf(Everything.Twin.class);
            return defineClass("Everything$Twin", bytes, 0, bytes.length);
        }
    }

    static void keep(Object... some) {
        Everything.KEEP.addAll(List.of(some));
    }

    /** What is set up before the first collection. */
    public static void before(String[] args) throws Exception {
        keep(new Point(1, 2, "p", new double[] {3}), new Nothing());
        for (String name : new String[] {"first", "second", null}) {
            Class<?> c = new Named(name).twin();
            keep(c.getDeclaredConstructor().newInstance(), Array.newInstance(c, 2, 3));
        }
        for (int i = 0; i < 3; i++) {
            byte[] hidden = Everything.bytesOf(Everything.Hidden.class);
            MethodHandles.Lookup l = i == 2
                ? MethodHandles.lookup().defineHiddenClass(hidden, true, MethodHandles.Lookup.ClassOption.STRONG)
                : MethodHandles.lookup().defineHiddenClass(hidden, true);
            Everything.keepHidden(l.lookupClass().getDeclaredConstructor().newInstance());
        }
        int n = args.length;
        for (int i = 0; i < 3; i++) {
            keep("i=" + i + " n=" + n + " c=" + 'c' + " l=" + 7L + " o=" + Everything.KEEP.size());
        }
        VarHandle vh = MethodHandles.lookup().findVarHandle(Everything.Node.class, "n", int.class);
        Everything.Node node = new Everything.Node();
        vh.setVolatile(node, 9);
        keep(vh, node, Cleaner.create());
    }

    /** A parked virtual thread leaves a StackChunk in the heap (JDK 21 and later). */
    public static void threads() throws Exception {
        if (Runtime.version().feature() < 21) return;
        Object local = "local of a virtual thread";
        Thread v = (Thread) Thread.class.getMethod("startVirtualThread", Runnable.class).invoke(null, (Runnable) () -> {
            Object[] frame = {local, new int[] {1, 2, 3}};
            while (true) LockSupport.park(frame);
        });
        keep(v);
        Everything.await(v, Thread.State.WAITING);
    }
}
