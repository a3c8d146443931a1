import java.io.File;
import java.util.*;

/**
 * Fills the heap for the benchmarks: BigHeap MB [small|arrays]. "small" is an application's mix (maps of
 * beans, strings, lists, linked nodes; about 24 million objects per GB), "arrays" is a few arrays of 2.5 to 6.4 MB.
 * Prints "READY pid" and then sits still.
 */
public class BigHeap {
    static class Pojo {
        int id;
        long time;
        double value;
        boolean flag;
        String name;
        Object link;

        Pojo(int id, Object link) {
            this.id = id;
            this.time = id * 1000L;
            this.value = id / 3.0;
            this.flag = (id & 1) == 0;
            this.name = "name-" + id;
            this.link = link;
        }
    }

    static class Node {
        Node next;
        int n;
        Integer boxed;

        Node(Node next, int n) {
            this.next = next;
            this.n = n;
            this.boxed = n;
        }
    }

    static final List<Object> KEEP = new ArrayList<>();

    static long used() {
        Runtime r = Runtime.getRuntime();
        return r.totalMemory() - r.freeMemory();
    }

    /** About 1 MB with some 24,000 objects. */
    static void small(int round) {
        Map<String, Pojo> map = new HashMap<>();
        Pojo last = null;
        for (int i = 0; i < 1800; i++) {
            last = new Pojo(round * 1800 + i, last);
            map.put("key-" + round + "-" + i, last);
        }
        List<Integer> list = new ArrayList<>();
        for (int i = 0; i < 3000; i++) list.add(round * 3000 + i + 128);
        Node head = null;
        for (int i = 0; i < 4800; i++) head = new Node(head, i + 1000);
        KEEP.add(new Object[] {map, list, head, new byte[40_000], new char[20_000], new int[10_000], new long[8_000]});
    }

    /** 16 MB in four arrays, none of them zeros: those take no room in a core. */
    static void arrays(int round) {
        byte[] bytes = new byte[6_400_000];
        new Random(round).nextBytes(bytes);
        int[] ints = new int[800_000];
        long[] longs = new long[480_000];
        double[] doubles = new double[320_000];
        Arrays.setAll(ints, i -> round + i);
        Arrays.setAll(longs, i -> (long) round << 32 | i);
        Arrays.setAll(doubles, i -> round + i / 3.0);
        KEEP.add(new Object[] {bytes, ints, longs, doubles});
    }

    /** Everything made here stays, so the growth of the used heap is live data. */
    static void fill(long mb, boolean small) {
        for (int round = 0; used() < mb << 20; round++) {
            if (small) small(round);
            else arrays(round);
        }
    }

    public static void main(String[] args) throws Exception {
        fill(args.length > 0 ? Long.parseLong(args[0]) : 1000, args.length < 2 || args[1].equals("small"));
        System.out.println("READY " + new File("/proc/self").getCanonicalFile().getName());
        System.out.flush();
        while (System.in.read() >= 0) {}
    }
}
