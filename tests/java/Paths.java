import java.lang.ref.WeakReference;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.LinkedBlockingQueue;

/**
 * Objects that are held in known ways, one of each class: the paths to them. The JNI handle is made by Roots' native
 * half, tests/c/roots.c.
 *
 * Paths LIBRARY
 */
public class Paths {
    static class Cached {
        final int number = 42;
        final long large = 1L << 40;
        final double half = 0.5;
        final char letter = 'x';
        final boolean yes = true;
        final String text = "plain text";
        final Object nothing = null;
        final Integer boxed = 4711;
    }

    static class OfThread {}

    static class OfFrame {}

    static class Weakly {}

    /** By two ways, of which one is shorter. */
    static class Twice {
        Object itself = this;
    }

    static class Deep {}

    static class Link {
        Link next;
        Object item;
    }

    static class Inner {
        Object held;
    }

    static class Outer {
        Inner inner = new Inner();
    }

    /** Many, below one field, but for one. */
    static class Many {}

    static final Map<String, Object> CACHE = new HashMap<>();
    static final ThreadLocal<Object> LOCAL = new ThreadLocal<>();
    static Object[] array = new Object[20];
    static Outer outer = new Outer();
    static Link list;
    static WeakReference<Object> weak;
    static List<Object> many = new ArrayList<>();
    static Many one = new Many();

    static List<Object> names = new ArrayList<>(Arrays.asList("one", "two", "three"));
    static Map<Object, Object> tree = new TreeMap<>(Map.of("a", 1, "b", 2));
    static Map<Object, Object> shared = new ConcurrentHashMap<>(Map.of("key", "value"));
    static ArrayDeque<Object> deque = new ArrayDeque<>(List.of("first", "last"));
    static LinkedBlockingQueue<Object> queue = new LinkedBlockingQueue<>(List.of("waiting"));

    static void hold(OfFrame local) throws Exception {
        System.out.println("READY " + ProcessHandle.current().pid());
        System.out.flush();
        while (System.in.read() >= 0) {}
        System.out.println(local);
    }

    public static void main(String[] args) throws Exception {
        System.load(args[0]);
        Roots.init();
        Roots.globals(9101, 9102);
        CACHE.put("the key", new Cached());
        LOCAL.set(new OfThread());
        Twice twice = new Twice();
        array[7] = twice;
        outer.inner.held = twice;
        twice = null;
        for (int i = 0; i < 1000; i++) {
            Link link = new Link();
            link.next = list;
            link.item = i == 0 ? new Deep() : null;
            list = link;
        }
        for (int i = 0; i < 500; i++) many.add(new Many());
        weak = new WeakReference<>(new Weakly());
        hold(new OfFrame());
    }
}
