import java.io.ByteArrayOutputStream;
import java.io.File;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.Collections;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Hashtable;
import java.util.IdentityHashMap;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.LinkedList;
import java.util.List;
import java.util.Map;
import java.util.PriorityQueue;
import java.util.Stack;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.Vector;
import java.util.WeakHashMap;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedDeque;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.ConcurrentSkipListMap;
import java.util.concurrent.ConcurrentSkipListSet;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CopyOnWriteArraySet;
import java.util.concurrent.LinkedBlockingDeque;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.LinkedTransferQueue;
import java.util.concurrent.PriorityBlockingQueue;

/** Memory that does no work, of which it is known how much there is: tests/jvms/waste.rs has the table. */
public class Waste {
    enum Color {
        RED,
        GREEN,
        BLUE
    }

    /** What each field says of itself: so many of that. */
    static class Order {
        /** 100 times the same text, and one of 100 others each. */
        String repeated;
        String single;
        /** 100 times the same 64 bytes, and 64 bytes of its own. */
        byte[] blob;
        byte[] own;
        /** Empty, never touched: no array. */
        List<Object> untouched;
        /** Empty, with an array of 10. */
        List<Object> emptied;
        /** One entry, a table of 16. */
        Map<Object, Object> sparse;
        /** Seven entries, an array of ten. */
        List<Object> roomy;
        /** As many as there is room for. */
        List<Object> full;
        /** The same number, and a cached one. */
        Integer boxed;
        Integer cached;
        Order[] none;
        /** 100 of 1000 bytes are in use. */
        byte[] overlong;
        StringBuilder builder;
        ByteArrayOutputStream stream;
    }

    /** One empty collection of each class. */
    static class Empties {
        Object[] all;
    }

    /** One of each class with two entries: none is empty. */
    static class Filled {
        Object[] all;
    }

    /** A list of lists: what is in it is held by the field. */
    static class Nested {
        Map<Object, Object> lists = new LinkedHashMap<>();
    }

    static class View {
        Map<Object, Object> map = new HashMap<>();
        Collection<Object> seen = Collections.unmodifiableCollection(map.values());
        /** Nothing else has the map in it: one empty collection. */
        Collection<Object> wrapped = Collections.synchronizedList(new ArrayList<>(8));
    }

    static Order[] orders = new Order[100];
    static Empties empties = new Empties();
    static Filled filled = new Filled();
    static Nested nested = new Nested();
    static View view = new View();

    static Order order(int i) {
        Order o = new Order();
        o.repeated = new String(new char[] {'d', 'u', 'p', 'l', 'i', 'c', 'a', 't', 'e', ' ', '!', '!'});
        o.single = "single " + i + " text";
        o.blob = new byte[64];
        Arrays.fill(o.blob, (byte) 7);
        o.own = new byte[64];
        Arrays.fill(o.own, (byte) (100 + i));
        o.own[0] = 1;
        o.own[63] = 2;
        o.untouched = new ArrayList<>();
        o.emptied = new ArrayList<>();
        o.emptied.add(o);
        o.emptied.clear();
        o.sparse = new HashMap<>();
        o.sparse.put(o, o);
        o.roomy = new ArrayList<>(10);
        for (int n = 0; n < 7; n++) o.roomy.add(o);
        o.full = new ArrayList<>(2);
        o.full.add(o);
        o.full.add(o);
        o.boxed = new Integer(123456);
        o.cached = 5;
        o.none = new Order[0];
        o.overlong = new byte[1000];
        for (int n = 0; n < 100; n++) o.overlong[n] = (byte) (i + n + 1);
        o.overlong[99] = 1;
        o.overlong[98] = (byte) i;
        o.builder = new StringBuilder(1000);
        o.builder.append("built ").append(i);
        o.stream = new ByteArrayOutputStream(512);
        o.stream.write(i);
        return o;
    }

    static Object[] collections() {
        return new Object[] {
            new ArrayList<Object>(), new LinkedList<Object>(), new Vector<Object>(), new Stack<Object>(),
            new CopyOnWriteArrayList<Object>(), new HashSet<Object>(), new LinkedHashSet<Object>(),
            new TreeSet<Object>(), new CopyOnWriteArraySet<Object>(), new ConcurrentSkipListSet<Object>(),
            ConcurrentHashMap.newKeySet(), new ArrayDeque<Object>(), new PriorityQueue<Object>(),
            new ConcurrentLinkedQueue<Object>(), new ConcurrentLinkedDeque<Object>(),
            new LinkedBlockingQueue<Object>(), new LinkedBlockingDeque<Object>(),
            new ArrayBlockingQueue<Object>(16), new PriorityBlockingQueue<Object>(),
            new LinkedTransferQueue<Object>(), java.util.EnumSet.noneOf(Color.class),
            new HashMap<Object, Object>(), new LinkedHashMap<Object, Object>(), new TreeMap<Object, Object>(),
            new Hashtable<Object, Object>(), new IdentityHashMap<Object, Object>(),
            new WeakHashMap<Object, Object>(), new EnumMap<Color, Object>(Color.class),
            new ConcurrentHashMap<Object, Object>(), new ConcurrentSkipListMap<Object, Object>(),
        };
    }

    /** The keys live as long as the program. */
    static Object[] keys = {Color.RED, Color.GREEN};

    @SuppressWarnings("unchecked")
    static void fill(Object collection) {
        for (Object key : keys) {
            if (collection instanceof Map) {
                ((Map<Object, Object>) collection).put(key, orders);
            } else {
                ((Collection<Object>) collection).add(key);
            }
        }
    }

    public static void main(String[] args) throws Exception {
        for (int i = 0; i < orders.length; i++) orders[i] = order(i);
        empties.all = collections();
        filled.all = collections();
        for (Object collection : filled.all) fill(collection);
        for (int i = 0; i < 50; i++) nested.lists.put(new Object(), new ArrayList<Object>());
        System.gc();
        System.out.println("READY " + new File("/proc/self").getCanonicalFile().getName());
        System.in.read();
    }
}
